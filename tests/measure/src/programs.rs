//! The programs of the benchmarks: built by cargo and by Go's toolchain.

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

/// Built programs, by their names.
pub struct Programs {
    paths: HashMap<String, PathBuf>,
    /// What the toolchain says of itself, if it is Go's.
    pub version: Option<String>,
}

impl Programs {
    /// The program of this name.
    ///
    /// # Panics
    /// If it was not built.
    pub fn path(&self, name: &str) -> &Path {
        &self.paths[name]
    }

    /// Whether it was built.
    pub fn has(&self, name: &str) -> bool {
        self.paths.contains_key(name)
    }
}

/// The value of `--go`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Go {
    /// Find one, or install one.
    Auto,
    /// Ours alone.
    Off,
    /// This one.
    Path(String),
}

impl FromStr for Go {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Go, Self::Err> {
        match text {
            "auto" => Ok(Go::Auto),
            "off" => Ok(Go::Off),
            "" => Err("it is auto, off, or the path of a go program"),
            path => Ok(Go::Path(path.to_owned())),
        }
    }
}

/// What came of looking for Go.
pub enum Toolchain {
    /// The environment to build in; `GO` is the toolchain.
    At(Vec<(String, String)>),
    /// Not wanted.
    Off,
    /// There is none, and this is why.
    Missing(String),
}

/// A folder for each benchmark; Go takes the whole for a module.
fn folder() -> PathBuf {
    ::tests::root().join("tests/measure/benchmarks")
}

/// Where cargo builds: `CARGO_TARGET_DIR`, or `target`.
pub fn target_dir() -> Result<PathBuf> {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => Ok(std::path::absolute(dir)?),
        None => Ok(::tests::root().join("target")),
    }
}

/// Builds our programs with optimization.
pub fn build_ours(names: &[&str]) -> Result<Programs> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--release", "-q", "-p", "measure"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(::tests::root());
    for name in names {
        command.args(["--bin", name]);
    }
    let built = command
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be started")?;
    if !built.status.success() {
        bail!("our programs do not build");
    }
    let paths = executables(&String::from_utf8_lossy(&built.stdout));
    if let Some(name) = names.iter().find(|n| !paths.contains_key(**n)) {
        bail!("cargo did not say where it built {name}");
    }
    let version = None;
    Ok(Programs { paths, version })
}

/// The programs that cargo's messages name.
fn executables(messages: &str) -> HashMap<String, PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|m| {
            let name = m["target"]["name"].as_str()?.to_owned();
            Some((name, m["executable"].as_str()?.into()))
        })
        .collect()
}

/// Asks `setup-go.sh` for a toolchain.
pub fn toolchain(wanted: &Go) -> Result<Toolchain> {
    let mut command = Command::new(::tests::root().join("tests/go/setup-go.sh"));
    command.env_remove("GO").current_dir(::tests::root());
    match wanted {
        Go::Off => return Ok(Toolchain::Off),
        Go::Auto => {}
        Go::Path(path) => {
            command.env("GO", path);
        }
    }
    let said = command
        .output()
        .context("tests/go/setup-go.sh cannot be started")?;
    let complaint = String::from_utf8_lossy(&said.stderr);
    let complaint = complaint.lines().last().unwrap_or("it says nothing");
    match said.status.code() {
        Some(0) => Ok(Toolchain::At(exports(&String::from_utf8_lossy(
            &said.stdout,
        ))?)),
        Some(3) => Ok(Toolchain::Missing(complaint.to_owned())),
        _ => bail!("{complaint}"),
    }
}

/// What `export NAME='VALUE'` lines say.
fn exports(text: &str) -> Result<Vec<(String, String)>> {
    text.lines()
        .map(|line| {
            line.strip_prefix("export ")
                .and_then(|l| l.strip_suffix('\'')?.split_once("='"))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .ok_or_else(|| anyhow!("setup-go.sh says something unexpected: {line}"))
        })
        .collect()
}

/// Builds Go's programs.
pub fn build_go(names: &[&str], env: Vec<(String, String)>) -> Result<Programs> {
    let go = env
        .iter()
        .find_map(|(name, value)| (name == "GO").then_some(value.as_str()))
        .context("setup-go.sh names no toolchain")?;
    let run = |args: &[&str]| {
        let mut command = Command::new(go);
        command
            .args(args)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .current_dir(folder())
            .stderr(Stdio::inherit());
        command
            .output()
            .with_context(|| format!("{go} cannot be started"))
    };
    let dir = target_dir()?.join("go/bin");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    // With a slash at its end it is a folder for several programs.
    let dir_slash = format!("{}/", dir.display());
    let packages: Vec<String> = names.iter().map(|name| format!("./{name}")).collect();
    let mut args = vec!["build", "-trimpath", "-o", &dir_slash];
    args.extend(packages.iter().map(String::as_str));
    if !run(&args)?.status.success() {
        bail!("Go's programs do not build");
    }
    let version = String::from_utf8_lossy(&run(&["env", "GOVERSION"])?.stdout)
        .trim()
        .to_owned();
    Ok(Programs {
        paths: names
            .iter()
            .map(|name| ((*name).to_owned(), dir.join(name)))
            .collect(),
        version: Some(version),
    })
}

/// Builds the program in C that stands beside a benchmark, if there is one for any of these and a
/// compiler. `CC` names another compiler than `cc`.
pub fn build_c(names: &[&str]) -> Result<Option<PathBuf>> {
    let source = folder().join("echo/c/echo.c");
    if !names.contains(&"echo") {
        return Ok(None);
    }
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let dir = target_dir()?.join("c");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let program = dir.join("echo");
    let built = Command::new(&compiler)
        .args(["-O2", "-pthread", "-o"])
        .args([&program, &source])
        .stdout(Stdio::null())
        .status();
    match built {
        Ok(status) if status.success() => Ok(Some(program)),
        Ok(_) => bail!("{} does not build", source.display()),
        Err(_) => {
            eprintln!("measure: without the loop in C: there is no C compiler (cc, or CC)");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_says_where_a_program_is() {
        let found = executables(
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"tests\"},\"executable\":null}\n\
             {\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"yield\"},\"executable\":\"/t/yield\"}\n\
             {\"reason\":\"build-finished\",\"success\":true}\nnot json\n",
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found["yield"], Path::new("/t/yield"));
    }

    #[test]
    fn exports_are_read() {
        let all = exports("export GO='/a b/go'\nexport GOFLAGS=''\n").unwrap();
        let want = [("GO", "/a b/go"), ("GOFLAGS", "")].map(|(a, b)| (a.into(), b.into()));
        assert_eq!(all, want);
        assert!(exports("GO=/bin/go").is_err());
    }

    #[test]
    fn go_is_auto_or_off_or_a_path() {
        assert_eq!("auto".parse(), Ok(Go::Auto));
        assert_eq!("off".parse(), Ok(Go::Off));
        assert_eq!("bin/go".parse(), Ok(Go::Path("bin/go".to_owned())));
        assert!("".parse::<Go>().is_err());
    }
}
