//! The directives that teach: questions, deeper sections, figures, cards, the index.

use super::{Case, fails, html};

const CARD: &str = "title = \"Half & half\"\norder = 10\nidea = \"Half is enough.\"\nwrites = \"f\"\nsocket = \"alone\"\npoints = 10\nminutes = 25\npage = \"page.html\"\nrust = \"No unsafe.\"\ntask = \"Take **half**.\"\nhelpers = [\"batch(n): oldest first.\"]\nwhy = \"w\"\nhints = [\"a\", \"b\", \"c\"]\n";
const FIGURE: &str = "<svg viewBox=\"0 0 9 9\">\n<title>A ring</title>\n\n<desc>Four places.</desc>\n<path d=\"M0 0\"/>\n</svg>\n";
const NAMES: &str = "[[mechanism]]\nnumber = 1\nname = '`runq`'\ngo_1_15 = 'A ring.'\ngo_1_27 = 'The same.'\nhere = [{ file = 'a/b.rs', find = ['x'] }]\ntests = ['t.rs::f']\n";

/// A question about the sample, in which both hogs are preempted once.
fn predict(query: &str, choices: &str) -> String {
    format!("# T\n\n{{{{#predict {query}}}}}\nHow **often**?\n\n{choices}{{{{/predict}}}}\n")
}

const COUNT: &str = "count stage1-coop/two_hogs procs=1 GoPreempt";

fn page(text: &str) -> Case {
    let case = Case::page(text);
    case.file("exercises/stage1/half/exercise.toml", CARD);
    case.file("book/figures/ring.svg", FIGURE);
    case.file(mechanisms::FILE, NAMES);
    case
}

fn built(text: &str) -> String {
    page(text)
        .build(true)
        .unwrap_or_else(|error| panic!("{text}\n{error}"))
}

fn refused(text: &str, says: &str) {
    let error = page(text).build(true).expect_err(text);
    assert!(
        error.contains(says),
        "{text}\nshould say: {says}\nsays: {error}"
    );
}

#[test]
fn a_question_with_its_choices() {
    let text = predict(
        COUNT,
        "- 0: it *never* looks.\n- 2: each is asked\n  once, see [below](sub/other.md).\n\n- 20: too often.\n",
    );
    let page = html(&text);
    assert!(
        page.contains("<p>How <strong>often</strong>?</p>"),
        "{page}"
    );
    assert_eq!(page.matches("<details class=\"sp-option").count(), 3);
    assert_eq!(page.matches("sp-right").count(), 1);
    let right = page.split("sp-option sp-right").nth(1).unwrap();
    assert!(right.contains("<summary>2</summary>"), "{right}");
    assert!(right.contains("Yes, that is what was recorded."));
    assert!(right.contains("once, see <a href=\"sub/other.html\">below</a>."));
    assert!(page.contains("it <em>never</em> looks."));
    assert!(page.contains("recorded run of <code>stage1-coop/two_hogs</code>"));
    let order = html(&predict(
        "order stage1-coop/two_hogs GoPreempt",
        "- `GoPreempt g3,  GoPreempt g2`: yes.\n- GoPreempt g2, GoPreempt g3: no.\n- GoPreempt g3: no.\n",
    ));
    assert!(order.contains("<summary>GoPreempt g3, GoPreempt g2</summary>"));
}

#[test]
fn what_was_asked_is_not_shown_by_accident() {
    let example = "{{#example stage1-coop/two_hogs procs=1}}\n";
    let question = predict(COUNT, "- 0: a.\n- 2: b.\n- 3: c.\n");
    let shown = html(&format!("# T\n\n{example}"));
    assert!(shown.contains("data-procs=\"1\" open"), "{shown}");
    let folded = html(&format!("{question}\n{example}"));
    assert!(
        folded.contains("<details class=\"sp-recorded\" data-procs=\"1\">"),
        "{folded}"
    );
}

#[test]
fn a_question_must_have_its_recorded_answer_once() {
    let three = "- 0: a.\n- 2: b.\n- 3: c.\n";
    for (query, choices, says) in [
        (
            COUNT,
            "- 0: a.\n- 1: b.\n- 3: c.\n",
            "page.md:3: none of the choices is what was recorded: one must be `- 2: why`",
        ),
        (
            COUNT,
            "- 0: a.\n- 2: b.\n",
            "page.md:3: this predict block has 2 choices, and three",
        ),
        (
            COUNT,
            "- 0: a.\n- 2: b.\n- 2: c.\n",
            "page.md:8: the choice `2` stands here twice",
        ),
        (
            COUNT,
            "- 0: a.\n- 2: b.\n- three: c.\n",
            "page.md:8: the answer is a number",
        ),
        (
            COUNT,
            "- 0: a.\n- 2\n- 3: c.\n",
            "page.md:7: this choice has no why",
        ),
        (
            COUNT,
            "- 0: a.\n- 2: b.\n- 3: c.\nmore\n",
            "page.md:9: after the choices",
        ),
        (
            "count stage1-coop/two_hogs GoPreemt",
            three,
            "page.md:3: no event is called `GoPreemt`",
        ),
        (
            "count stage1-coop/two_hogs procs=4 GoPreempt",
            three,
            "p4__seed1.snap is not there",
        ),
        (
            "count stage1-coop/none GoPreempt",
            three,
            "page.md:3: there is no example stage1-coop/none",
        ),
        (
            "often stage1-coop/two_hogs",
            three,
            "page.md:3: `often` is no question",
        ),
    ] {
        fails(&predict(query, choices), says);
    }
    fails(
        &format!("# T\n\n{{{{#predict {COUNT}}}}}\nq\n\n{three}"),
        "page.md:3: this predict block has no end",
    );
    fails(
        &format!("# T\n\n{{{{#predict {COUNT}}}}}\n\n{three}{{{{/predict}}}}\n"),
        "page.md:3: this predict block has no question",
    );
    fails(
        "# T\n\n{{/predict}}\n",
        "page.md:3: only {{/deeper}} and {{/predict}} end a block",
    );
}

#[test]
fn a_recording_that_belongs_to_no_example() {
    let case = Case::page(&predict(
        "count review__pair GoStart",
        "- 1: a.\n- 2: b.\n- 3: c.\n",
    ));
    case.file(
        "tests/snapshots/review__pair.snap",
        "---\nsource: x\n---\n0.000 m0 p0 -- GoStart g1\n0.001 m0 p0 g1 GoSched\n0.002 m0 p0 -- GoStart g2\n",
    );
    let page = case.build(true).unwrap();
    assert!(page.contains("<code>review__pair</code>"), "{page}");
    fails(
        &predict("count review__none GoStart", "- 1: a.\n- 2: b.\n- 3: c.\n"),
        "review__none.snap is not there",
    );
}

#[test]
fn a_switch_between_stages() {
    let case =
        Case::page("# T\n\n{{#stages stage1-coop/two_hogs stage2-more/two_hogs_2 procs=1}}\n");
    case.file("stage2-more/Cargo.toml", "");
    case.file("stage2-more/examples/two_hogs_2.rs", "//! The same.\n");
    let missing = case.build(true).unwrap_err();
    assert!(
        missing.contains("stage2-more__two_hogs_2__p1__seed1.snap is not there"),
        "{missing}"
    );
    case.file(
        "tests/snapshots/stage2-more__two_hogs_2__p1__seed1.snap",
        "---\nsource: x\n---\nexit 0\n--- output\n--- trace\n0.000 m0 p0 -- GoStart g1\n",
    );
    let page = case.build(true).unwrap();
    assert_eq!(page.matches("class=\"sp-stage\"").count(), 2, "{page}");
    assert!(page.contains("Under <code>stage2-more</code>"));
    assert_eq!(page.matches("class=\"sp-panel\"").count(), 2);
    assert_eq!(
        page.matches("sp-recorded\" data-procs=\"1\" open").count(),
        2
    );
}

#[test]
fn the_curve_of_sleeps() {
    let recording = |output: &str| {
        let case = Case::page("# T\n\n{{#sleeps a__day}}\n");
        case.file(
            "tests/snapshots/a__day.snap",
            &format!("---\nsource: x\n---\nexit 0\n--- output\n{output}--- trace\n"),
        );
        case.build(true)
    };
    let page = recording("look 0.010 20\nlook 0.030 40\nnote 0.031 work\n").unwrap();
    assert!(page.contains("<figcaption>Sysmon’s sleeps"), "{page}");
    assert_eq!(page.matches("class=\"d-bar\"").count(), 2);
    let error = recording("hello\n").unwrap_err();
    assert!(
        error.contains("the output of a__day holds no two lines"),
        "{error}"
    );
}

#[test]
fn the_line_about_reading() {
    let words = "word ".repeat(900);
    let page = html(&format!(
        "# T\n\n{{{{#page core}}}}\n\n{words}\n\n{{{{#deeper Why *so*}}}}\n\n{words}\n\n{{{{/deeper}}}}\n\nEnd.\n"
    ));
    assert!(
        page.contains("about 5 minutes of reading, and 5 minutes for the sections"),
        "{page}"
    );
    assert!(page.contains("<section class=\"sp-deeper\">"));
    assert!(page.contains("<h2 id=\"why-so\">"), "in the page's outline");
    let section = page.split("<section").nth(1).unwrap();
    assert!(section.split("</section>").nth(1).unwrap().contains("End."));
    for (text, says) in [
        (
            "# T\n\ntext\n\n{{#page core}}\n",
            "page.md:5: this must stand directly below",
        ),
        (
            "{{#page core}}\n\n# T\n",
            "page.md:1: this must stand directly below",
        ),
        (
            "# T\n\n{{#page core}}\n{{#page core}}\n",
            "page.md:4: a page says once",
        ),
        (
            "# T\n\n{{#page easy}}\n",
            "page.md:3: a page is core or deeper",
        ),
        (
            "# T\n\n{{#deeper A}}\n\nx\n",
            "page.md:3: this deeper section has no end",
        ),
        ("# T\n\n{{/deeper}}\n", "page.md:3: {{/deeper}} without"),
        (
            "# T\n\n{{#deeper A}}\n{{#deeper B}}\n{{/deeper}}\n",
            "page.md:4: the deeper section of line 3 is still open",
        ),
        (
            "# T\n\n{{#deeper A}}\n\n## B\n\n{{/deeper}}\n",
            "page.md:5: a deeper section has one heading",
        ),
        (
            "# T\n\n> {{#deeper A}}\n",
            "page.md:3: this directive must stand at the beginning",
        ),
        (
            "# T\n\nsee {{#page core}} here\n",
            "page.md:3: only count can stand inside a line",
        ),
    ] {
        fails(text, says);
    }
    assert!(html("# T\n\nwrite \\{{/deeper}}\n").contains("{{/deeper}}"));
}

#[test]
fn figures() {
    let page =
        built("# T\n\n{{#figure ring}}\n\nAgain:\n\n{{#figure ring}}\n\n[it](#figure-ring)\n");
    assert_eq!(page.matches("<figcaption>A ring</figcaption>").count(), 2);
    assert!(
        page.contains("id=\"figure-ring-title\"") && page.contains("id=\"figure-ring-2-title\"")
    );
    refused(
        "# T\n\n{{#figure rong}}\n",
        "page.md:3: there is no figure book/figures/rong.svg; there are: ring",
    );
    refused("# T\n\n{{#figure ../ring}}\n", "no name of a figure");
}

#[test]
fn cards_of_exercises() {
    let page = built("# T\n\n{{#exercise half}}\n\n[it](#exercise-half)\n");
    for part in [
        "data-exercise=\"half\"",
        "Exercise: Half &amp; half",
        "25 minutes",
        "10 points",
        "Half is enough.",
        "Take <strong>half</strong>.",
        "<code>batch(n)</code>: oldest first.",
        "cargo run -p exercises -- run half",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    refused(
        "# T\n\n{{#exercise third}}\n",
        "page.md:3: there is no exercise third in exercises/; there are: half",
    );
    refused(
        "# T\n\n{{#exercise half}}\n\n{{#exercise half}}\n",
        "page.md:5: the card of half stands on this page already",
    );
    fails(
        "# T\n\n{{#exercise half}}\n",
        "exercises: it cannot be read: ",
    );
}

/// What is wrong with one exercise is said once, whatever the number of cards and links.
#[test]
fn a_broken_exercise_is_one_line() {
    let case = page("# T\n\n{{#exercise half}}\n\n{{#exercise third}}\n\n[it](#exercise-half)\n");
    case.file("book/chapters/sub/other.md", "# O\n\n{{#exercise other}}\n");
    case.file("exercises/stage1/third/exercise.toml", "title = 1\n");
    let error = case.build(true).unwrap_err();
    let (first, lines) = error.split_once('\n').unwrap();
    assert!(first.ends_with("the book was not built:"), "{error}");
    assert!(
        lines.starts_with("  exercises/stage1/third/exercise.toml: line 1: "),
        "{error}"
    );
    assert_eq!(lines.lines().count(), 1, "{error}");
}

#[test]
fn the_index_of_names() {
    let case = page("# The names\n\n{{#mechanisms}}\n");
    case.file(
        "book/chapters/sub/other.md",
        "# The other page\n\nThe `runq` of a P.\n",
    );
    let page = case.build(true).unwrap();
    assert!(
        page.contains("<a href=\"#mechanism-1\"><code>runq</code></a>"),
        "{page}"
    );
    assert!(
        page.contains("<a href=\"sub/other.html\">The other page</a>"),
        "{page}"
    );
    refused(
        "# T\n\n{{#mechanisms}}\n\n{{#mechanisms}}\n",
        "page.md:5: the index of Go's names stands once",
    );
    fails(
        "# T\n\n{{#mechanisms}}\n",
        "there is no file book/mechanisms/mechanisms.toml",
    );
}

#[test]
fn links_into_a_list_of_terms() {
    let case = Case::page("# T\n\n[G](sub/other.md#g-goroutine)\n");
    case.file(
        "book/chapters/sub/other.md",
        "# Words\n\nG (goroutine)\n\n: A function.\n",
    );
    assert!(case.build(true).is_ok(), "{:?}", case.build(true));
    fails("# T\n\n[G](sub/other.md#h)\n", "there is no heading `#h`");
}
