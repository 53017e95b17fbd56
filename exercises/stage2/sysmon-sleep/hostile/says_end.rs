pub fn sysmon_delay(_: u32, _: u32) -> u32 {
    println!("@ end");
    loop {}
}
// ends as: endless
