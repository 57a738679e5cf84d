// SPDX-License-Identifier: MIT OR Apache-2.0
//! A program as a C program.
//!
//! Who mends a fault wants it without the hunter: in C, with the header alone,
//! to step through and to keep as a test. `fixture.c` is the part that is the
//! same for all: turns, callbacks, the records of values, one function for each
//! operation. What is printed after it are the lists of this program, a line for
//! each operation. It covers runs in turns, and the checks that need no more
//! than a record's state; others (counts at a standstill, budgets, visits that
//! miss a thread) it leaves out.

use core::fmt::Write;

use crate::program::{Code, Op, Program, BODIES, KEYS};

/// The text of a C program that does the same.
pub(crate) fn print(program: &Program, what: &str) -> String {
    let mut text = format!("/* {what}\n *\n");
    text.push_str(include_str!("fixture.c").trim_start_matches("/*"));
    let _ = writeln!(text, "static const spec specs[] = {{");
    for key in &program.keys {
        let flags =
            [key.any, key.enumerable, key.explicit, key.worker, key.inherit, key.init, key.fails];
        let flags = flags.map(|flag| if flag { "1" } else { "0" }).join(", ");
        let bodies = [key.destroy_body, key.init_body, key.copy_body, key.free_body];
        let bodies = bodies.map(|body| body.to_string()).join(", ");
        let _ = writeln!(text, "  {{{flags}, {bodies}}},");
    }
    let steps: Vec<String> = program.schedule.iter().map(u8::to_string).collect();
    let steps = if steps.is_empty() { "0".to_string() } else { steps.join(", ") };
    let _ = writeln!(text, "}};\nstatic const unsigned char schedule[] = {{{steps}}};");
    let (keys, threads) = (program.keys.len(), program.threads.len());
    let _ = writeln!(text, "static const int n_keys = {keys}, n_threads = {threads};");
    let _ = writeln!(text, "static const int n_schedule = {};", program.schedule.len());
    list(&mut text, "thread", &program.threads, keys);
    list(&mut text, "body", &program.bodies, keys);
    text
}

fn list(text: &mut String, name: &str, lists: &[Vec<Op>], keys: usize) {
    let _ = writeln!(text, "static void {name}_list(int number) {{\n  switch (number) {{");
    for (at, list) in lists.iter().enumerate().filter(|(_, list)| !list.is_empty()) {
        let _ = writeln!(text, "  case {at}:");
        for op in list {
            let _ = writeln!(text, "    TOP(); OP({});", line(*op, keys));
        }
        let _ = writeln!(text, "    break;");
    }
    let _ = writeln!(text, "  }}\n}}");
}

fn line(op: Op, keys: usize) -> String {
    let key = usize::from(op.a) % keys;
    let body = usize::from(op.b) % BODIES;
    let (a, b) = (op.a % 3, op.b % 3);
    let argument = format!("(void *){body}L");
    match op.code {
        Code::Pause => "(void)0".into(),
        Code::Set => format!("set({key})"),
        Code::SetNull => format!("set_null({key})"),
        Code::Get => format!("get({key})"),
        Code::GetExisting => format!("get_existing({key})"),
        Code::TryGet => format!("try_get({key})"),
        Code::Swap => format!("swap({key})"),
        Code::Take if op.b % 4 == 3 => format!("take_wait({key})"),
        Code::Take => format!("take({key})"),
        Code::Remove => format!("remove_({key})"),
        Code::RemoveAll => "CALL(tls_remove_all())".into(),
        Code::Expunge => "CALL(tls_expunge())".into(),
        Code::ExpungeSome => format!("CALL(tls_expunge_some({}))", op.b % 8),
        Code::Attach => "CALL(tls_thread_attach())".into(),
        Code::Detach => "CALL(tls_thread_detach())".into(),
        Code::AtExit => format!("hook({}, {key}, {}, {argument})", op.b & 1, op.b % 3 == 0),
        Code::OnStale if op.b % 2 == 0 => {
            format!("hook(2, {key}, {}, {argument})", op.b % 3 == 0)
        }
        Code::OnStale => format!("CALL(tls_thread_on_stale(other, {argument}))"),
        Code::Release => format!("release({key})"),
        Code::Retain => format!("retain({key})"),
        Code::Purge => format!("purge({key})"),
        Code::ForEach => format!("for_each({key}, {body})"),
        Code::Scrape => format!("scrape({key}, {body})"),
        Code::Drain => format!("CALL(tls_key_drain(keys[{key}], 0, NULL))"),
        Code::ExpungeAll => "CALL(tls_expunge_all_threads())".into(),
        Code::ScopeBegin => format!("scope_begin({})", op.b % 6),
        Code::ScopeEnd => "scope_end()".into(),
        Code::Capture => format!("capture({b})"),
        Code::FreeContext => format!("free_context({b})"),
        Code::TaskCreate => format!("task_create({a}, {body})"),
        Code::TaskRun => format!("task_run({a})"),
        Code::TaskCancel => format!("task_cancel({a})"),
        Code::MapCreate => format!("map_create({a})"),
        Code::MapSwitch => format!("map_switch({})", op.a % 5),
        Code::MapDestroy => format!("map_destroy({a})"),
        Code::Stats => "{ tls_stats_t s = {.size = sizeof s}; CALL(tls_stats(&s)); }".into(),
        Code::Dump => format!("CALL(tls_dump(write_one, {argument}))"),
        Code::ForEachLocal => format!("CALL(tls_for_each_local(visit_local, {argument}))"),
        Code::Check => "CALL(tls_stale_count())".into(),
        Code::FailAllocation => format!("fails_at = {}", 1 + op.b % 6),
        Code::ExitThread => "exit_thread()".into(),
        Code::CancelThread => format!("cancel_thread({} % n_threads)", op.b),
        Code::Fork => "fork_here()".into(),
        Code::KeyCreate => format!("key_create({key})"),
        Code::CleanupHandler => format!("handler[me] = {body}"),
        Code::KeyDestructor => {
            format!("key_destructor({}, {}, {body})", op.a % 2, op.a >> 1 & 3)
        }
        Code::TakeAll => format!("CALL(tls_take_all(receive, {argument}))"),
        Code::ThreadDestructor => format!("thread_destructor({body})"),
        Code::SetMany | Code::ReleaseMany => {
            let name = if op.code == Code::SetMany { "set" } else { "release" };
            let first = usize::from(op.a) % KEYS;
            let all = 0..usize::from(op.b) % KEYS;
            let line = |next| format!("{name}({}); pause_here();", (first + next) % keys);
            format!("{{ {} }}", all.map(line).collect::<String>())
        }
    }
}
