// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `tls_dump` writes is JSON, as `docs/dump.schema.json` describes it.
//!
//! C programs print reports; here they are parsed, checked against the schema
//! by a validator of all of JSON Schema, and compared with what the programs
//! have done.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use serde_json::{json, Value};
use support::compiler::{compile, link, Linkage, Standard};
use support::library::library;
use support::{process, scratch, source_root, suite};

const C11: Standard = Standard::c("c11");
const PATIENCE: Duration = Duration::from_secs(120);

/// The schema, and the validator that has compiled it.
struct Schema {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Schema {
    /// Refuses what is no schema of its `$schema`.
    fn new(schema: Value) -> Result<Self, String> {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.set_default_draft(Draft::V2020_12);
        let name = "dump.schema.json";
        let described = |error| format!("{error:#}");
        compiler.add_resource(name, schema).map_err(described)?;
        let index = compiler.compile(name, &mut schemas).map_err(described)?;
        Ok(Self { schemas, index })
    }

    /// What of a report is not as the schema says, if anything.
    fn fault(&self, report: &Value) -> Option<String> {
        self.schemas.validate(report, self.index).err().map(|error| error.to_string())
    }
}

fn compiled() -> Schema {
    Schema::new(schema()).unwrap_or_else(|message| panic!("{message}"))
}

fn schema() -> Value {
    let text = fs::read_to_string(source_root().join("docs/dump.schema.json"));
    serde_json::from_str(&text.expect("the schema is there")).expect("the schema is JSON")
}

/// The report that a C program of this source tree prints. Tests of this program
/// run at the same time: each program is built and run once, for all of them.
fn report_of(source: &'static str) -> Value {
    static REPORTS: Mutex<BTreeMap<&str, Value>> = Mutex::new(BTreeMap::new());
    let mut reports = REPORTS.lock().unwrap_or_else(PoisonError::into_inner);
    reports.entry(source).or_insert_with(|| print_report(source)).clone()
}

/// Compiles and runs a C program; the report that it prints.
fn print_report(source: &str) -> Value {
    let source: PathBuf = source_root().join(source);
    let program = scratch("dump").join(source.file_stem().expect("it has a name"));
    let object = program.with_extension("o");
    let include = format!("-I{}", suite::include().display());
    compile(&source, C11, &library().include, &[include], &object)
        .and_then(|()| link(&[&object], C11, library(), Linkage::Shared, &program))
        .unwrap_or_else(|message| panic!("{message}"));
    let log = program.with_extension("log");
    let mut command = Command::new(&program);
    command.env_remove("LD_LIBRARY_PATH");
    process::run(&mut command, &log, PATIENCE).unwrap_or_else(|message| panic!("{message}"));
    let bytes = fs::read(log).expect("the log is there");
    let text = String::from_utf8(bytes).expect("JSON is UTF-8");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in\n{text}"))
}

fn assert_valid(report: &Value) {
    let fault = compiled().fault(report);
    assert!(fault.is_none(), "{}\nin\n{report:#}", fault.unwrap_or_default());
}

fn list<'a>(report: &'a Value, name: &str) -> &'a Vec<Value> {
    report[name].as_array().expect("a list")
}

/// The only element of a list that `is_it` is true of.
fn only<'a>(report: &'a Value, name: &str, is_it: impl Fn(&Value) -> bool) -> &'a Value {
    let mut found = list(report, name).iter().filter(|element| is_it(element));
    let first = found.next().unwrap_or_else(|| panic!("not in {name} of\n{report:#}"));
    assert_eq!(found.next(), None, "twice in {name}");
    first
}

#[test]
fn a_report_of_everything_is_as_the_schema_says() {
    let report = report_of("tests/dump/everything.c");
    assert_valid(&report);
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));

    let map_of = |kind: &str| only(&report, "maps", |map| map["kind"] == kind);
    assert_eq!(map_of("moving")["thread"], 0);
    assert_eq!(map_of("context")["entries"], 1);
    let stale = only(&report, "maps", |map| map["stale"] == 1);
    assert_eq!((&stale["kind"], &stale["entries"]), (&json!("thread"), &json!(2)));

    let key_of = |name: &str| only(&report, "keys", |key| key["name"] == name);
    assert_eq!(key_of("dead")["unended"], 1);
    assert_eq!(key_of("dead")["deaths_since"], 0);
    assert_eq!(key_of("dead")["values"], json!([{"map": stale["map"], "thread": stale["thread"]}]));
    // The hidden one and the one that hides it, the captured one, the worker's.
    assert_eq!(list(key_of("layered"), "values").len(), 4);
    assert_eq!(list(key_of(""), "values").len(), 2);

    let map_numbers: Vec<&Value> = list(&report, "maps").iter().map(|map| &map["map"]).collect();
    for key in list(&report, "keys") {
        for holder in list(key, "values") {
            assert!(map_numbers.contains(&&holder["map"]), "{holder} has no map");
        }
    }

    let layered = &key_of("layered")["key"];
    let entry = |value: &str| only(&report, "local", |entry| entry["value"] == value);
    let of_key =
        |depth, hidden| json!({"depth": depth, "hidden": hidden, "key": layered, "stale": false});
    for (value, expected) in [("0xabc", of_key(0, true)), ("0xdef", of_key(1, false))] {
        let mut found = entry(value).clone();
        found.as_object_mut().expect("an object").remove("value");
        assert_eq!(found, expected);
    }
    assert_eq!(entry("0x0")["key"], key_of("")["key"]);
}

#[test]
fn a_crash_handlers_report_is_as_the_schema_says() {
    let report = report_of("tests/dump/crash.c");
    assert_valid(&report);
    assert_eq!(report.get("incomplete"), None);
    assert_eq!(report["local"], json!([]));
    let key_of = |name: &str| only(&report, "keys", |key| key["name"] == name);
    assert_eq!(
        (&key_of("crashes")["live"], &key_of("crashes")["values"]),
        (&json!(false), &json!([]))
    );
    assert_eq!(key_of("crashes").get("deaths_since"), None);
    assert_eq!(key_of("left first")["deaths_since"], 1);
    assert_eq!(key_of("left last")["deaths_since"], 0);
    let stale = only(&report, "maps", |map| map["stale"] == 2);
    let holder = json!([{"map": stale["map"], "thread": stale["thread"]}]);
    assert_eq!(
        (&key_of("left first")["values"], &key_of("left last")["values"]),
        (&holder, &holder)
    );
}

#[test]
fn a_report_that_waits_for_no_lock_says_what_it_leaves_out() {
    let report = report_of("tests/dump/locked.c");
    assert_valid(&report);
    assert_eq!((&report["incomplete"], &report["maps"]), (&json!(true), &json!([])));
    let key = only(&report, "keys", |key| key["live"] == true);
    assert_eq!(key["incomplete"], true);
    // Its holders need another lock.
    assert_eq!(list(key, "values").len(), 1);
}

#[test]
fn names_of_any_bytes_come_back_from_the_json() {
    let report = report_of("tests/dump/everything.c");
    let expected = [
        "say \"it\" in C:\\temp",
        "line\nline\ttab\u{1}\u{7f}",
        "caf\u{e9} \u{1f4a7}",
        // Not UTF-8: each byte stands as the character with its number.
        "\u{ff} and \u{c3}",
    ];
    for name in expected {
        only(&report, "keys", |key| key["name"] == name);
    }
}

#[test]
fn the_example_of_a_leak_report_names_what_is_left() {
    let report = report_of("examples/leak_report.c");
    assert_valid(&report);
    let session = |name: &str| only(&report, "keys", |key| key["name"] == name);
    assert_eq!(list(session("session 2"), "values").len(), 4);
    for closed in ["session 0", "session 1"] {
        assert_eq!(
            (&session(closed)["live"], &session(closed)["unended"]),
            (&json!(false), &json!(2))
        );
    }
    let untidy = list(&report, "maps").iter().filter(|map| map["stale"] == 2);
    assert_eq!(untidy.count(), 2);
}

/// Each change makes a report that the library would never write, and the
/// validator says where. Whatever is not described is refused, too.
#[test]
fn a_report_that_is_not_as_the_schema_says_is_refused() {
    let (schema, good) = (compiled(), report_of("examples/leak_report.c"));
    assert_eq!(schema.fault(&good), None);
    let index =
        |live| list(&good, "keys").iter().position(|key| key["live"] == live).expect("one is");
    let (live, dead) = (index(true), index(false));
    let replaced = [
        ("/maps/0/kind".to_owned(), json!("fibre")),
        ("/maps/0/entries".to_owned(), json!(-1)),
        ("/maps/0/capacity".to_owned(), json!(0.5)),
        ("/maps/0/thread".to_owned(), json!("1")),
        ("/keys/0/key".to_owned(), json!("012")),
        ("/keys/0".to_owned(), json!({"key": "1", "name": "", "live": false})),
        ("/local".to_owned(), json!([{"surprise": true}])),
        ("/version".to_owned(), json!(null)),
        (format!("/keys/{live}/references"), json!(null)),
        (format!("/keys/{dead}/values"), json!([7])),
        // A dead key has no references, so this is neither kind of key.
        (format!("/keys/{dead}/live"), json!(true)),
    ];
    for (pointer, with) in replaced {
        let mut report = good.clone();
        *report.pointer_mut(&pointer).expect("it is there") = with.clone();
        let fault = schema.fault(&report);
        assert!(fault.is_some(), "{with} at {pointer} is accepted");
    }
    let holder = format!("/keys/{live}/values/0");
    for pointer in ["", "/maps/0", &format!("/keys/{live}"), &format!("/keys/{dead}"), &holder] {
        let mut report = good.clone();
        let object = report.pointer_mut(pointer).and_then(Value::as_object_mut).expect("an object");
        object.insert("surprise".to_owned(), json!(1));
        let fault = schema.fault(&report);
        assert!(fault.is_some(), "a property that nobody has described is accepted in {pointer:?}");
    }
    let mut report = report_of("tests/dump/everything.c");
    report["local"][0]["surprise"] = json!(1);
    assert!(schema.fault(&report).is_some(), "so it is in an entry");
}

/// No object of the schema is open, and the validator is asked for the version of
/// JSON Schema that the schema names.
#[test]
fn the_schema_describes_every_property() {
    fn open(schema: &Value, at: &str, found: &mut Vec<String>) {
        let object = schema.as_object().into_iter().flatten();
        let list = schema.as_array().into_iter().flatten();
        if schema.get("properties").is_some()
            && schema.get("additionalProperties") != Some(&json!(false))
        {
            found.push(at.to_owned());
        }
        object.for_each(|(name, inner)| open(inner, &format!("{at}/{name}"), found));
        list.for_each(|inner| open(inner, at, found));
    }
    let mut found = Vec::new();
    open(&schema(), "", &mut found);
    assert_eq!(found, Vec::<String>::new(), "these allow other properties");
    assert_eq!(schema()["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let mut wrong = schema();
    wrong["$defs"]["count"]["minimum"] = json!("none");
    assert!(Schema::new(wrong).is_err(), "what is no schema is compiled");
}
