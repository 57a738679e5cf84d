//! The part of JSON Schema that `docs/dump.schema.json` uses, and no more.
//!
//! A crate for all of it brings forty others, some of which want a newer
//! compiler than the library does. A keyword that is not known here is a panic,
//! so that the schema can't say what nobody checks.

use serde_json::Value;

/// What of `value` is not as the schema has it, and where.
pub(crate) fn faults(root: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    Checker { root }.check(root, value, "$", &mut faults);
    faults
}

struct Checker<'a> {
    root: &'a Value,
}

impl Checker<'_> {
    fn check(&self, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        let rules = schema.as_object().expect("a schema is an object");
        for (keyword, rule) in rules {
            match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" => {}
                "$ref" => self.check(self.definition(rule), value, at, faults),
                "type" => check(has_type(value, rule), at, "is no", rule, faults),
                "const" => check(value == rule, at, "is not", rule, faults),
                "enum" => {
                    let one = list(rule).contains(value);
                    check(one, at, "is none of", rule, faults);
                }
                "minimum" => {
                    let enough = value.as_f64() >= rule.as_f64();
                    check(enough, at, "is below", rule, faults);
                }
                "pattern" => {
                    let fits = value.as_str().is_some_and(|text| matches(text, rule));
                    check(fits, at, "does not look like", rule, faults);
                }
                "required" => {
                    for name in list(rule) {
                        let name = name.as_str().expect("a name");
                        check(value.get(name).is_some(), at, "lacks", &name.into(), faults);
                    }
                }
                "properties" => self.check_properties(rule, value, at, faults),
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(rule, item, &format!("{at}[{index}]"), faults);
                    }
                }
                "oneOf" => {
                    let fits = |schema: &&Value| {
                        let mut faults = Vec::new();
                        self.check(schema, value, at, &mut faults);
                        faults.is_empty()
                    };
                    check(
                        list(rule).iter().filter(fits).count() == 1,
                        at,
                        "is not one",
                        rule,
                        faults,
                    );
                }
                _ => panic!("docs/dump.schema.json has {keyword:?}, which is not checked"),
            }
        }
    }

    /// Stricter than JSON Schema: what is not described is a fault.
    fn check_properties(&self, rule: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        for (name, property) in value.as_object().into_iter().flatten() {
            match rule.get(name) {
                Some(schema) => self.check(schema, property, &format!("{at}.{name}"), faults),
                None => faults.push(format!("{at}.{name} is not in the schema")),
            }
        }
    }

    fn definition(&self, reference: &Value) -> &Value {
        let path = reference.as_str().and_then(|path| path.strip_prefix('#'));
        let found = path.and_then(|path| self.root.pointer(path));
        found.unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }
}

fn check(holds: bool, at: &str, how: &str, rule: &Value, faults: &mut Vec<String>) {
    if !holds {
        faults.push(format!("{at} {how} {rule}"));
    }
}

fn list(rule: &Value) -> &Vec<Value> {
    rule.as_array().expect("a list")
}

fn has_type(value: &Value, rule: &Value) -> bool {
    match rule.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_u64() || value.is_i64(),
        _ => panic!("the type {rule} is not checked"),
    }
}

fn matches(text: &str, pattern: &Value) -> bool {
    let is_hexadecimal = |digit: char| digit.is_ascii_digit() || ('a'..='f').contains(&digit);
    match pattern.as_str() {
        Some("^[1-9][0-9]*$") => {
            !text.starts_with('0') && !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
        }
        Some("^0x[0-9a-f]+$") => text
            .strip_prefix("0x")
            .is_some_and(|digits| !digits.is_empty() && digits.chars().all(is_hexadecimal)),
        _ => panic!("the pattern {pattern} is not checked"),
    }
}
