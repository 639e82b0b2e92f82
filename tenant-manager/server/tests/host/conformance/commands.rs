//! Commands to the kernel: what each does, how it is answered, and which are
//! not answered at all.

use serde_json::{Value, json};

use super::spawning::ask;
use super::subject::{Subject, failed, matches, took};
use super::{Cell, Verdict, rows};

rows! {
    "InitializeProcess and RunProcess, and their errors" => entered_and_run,
    "InitializeProcess gives what the sender holds" => initial_rights,
    "KillProcess answers who asks, and nothing of the unknown" => killed,
    "KillProcess revokes what it issued, or not: no-revoke" => revoked,
    "GrantCapabilities, DropCapabilities: no answer, at once" => granted,
    "SetOnExit has no answer" => set_on_exit,
    "Debug tells processes as the edition spells them" => debug,
    "what is no command, or only for boots, has no answer" => no_answer,
    "without the right to message it the kernel hears nothing" => not_heard,
    "a process called kernel is the kernel" => called_kernel,
    "a right to a database: by name until 0.9, of a package since" => database,
}

const NO_TIME: std::ops::Range<u64> = 0..4500;
const ONE_SECOND: std::ops::Range<u64> = 1000..10_000;

/// A command that is answered within seconds.
fn command(subject: &Subject, body: &Value) -> Value {
    let kernel = subject.module("kernel:distro:sys");
    json!({"await": {"to": kernel, "expects": 5, "body": body}})
}

/// A command that shall not be answered, which takes a second to see.
fn unanswered(subject: &Subject, body: &Value) -> Value {
    let kernel = subject.module("kernel:distro:sys");
    json!({"await": {"to": kernel, "expects": 1, "body": body}})
}

/// The id of a process that the commands are about.
fn id(subject: &Subject, name: &str) -> String {
    subject.id(&format!("-{name}"))
}

/// Steps that enter a process: its component comes as the blob of the VFS'
/// answer, which the command inherits.
fn enter(subject: &Subject, id: &str, rights: &[Value]) -> [Value; 2] {
    let vfs = subject.module("vfs:distro:sys");
    let read = json!({"path": subject.path(), "action": "Read"});
    let initialize = json!({"InitializeProcess": {
        "id": id,
        "wasm_bytes_handle": subject.path(),
        "wit_version": null,
        "on_exit": "None",
        "initial_capabilities": rights,
        "public": false,
    }});
    let mut command = command(subject, &initialize);
    command["await"]["inherit"] = json!(true);
    [
        json!({"await": {"to": vfs, "expects": 5, "body": read}}),
        command,
    ]
}

/// The right to message the process that commands, so that it is answered.
fn to_admin(subject: &Subject) -> Value {
    json!({"issuer": subject.at("-admin"), "params": "\"messaging\""})
}

async fn admin(subject: &Subject, steps: Value) -> Result<Vec<Value>, String> {
    subject.run_at(&subject.id("-admin"), steps).await
}

/// The kernel's answer to a command.
fn answered(subject: &Subject, got: &Value, body: Value) -> Result<(), String> {
    let kernel = subject.module("kernel:distro:sys");
    matches(
        got,
        json!({"is": "response", "source": kernel, "body": body}),
    )
}

/// Enters and runs `id`, whose rights are `rights`.
async fn make(subject: &Subject, id: &str, rights: &[Value]) -> Result<(), String> {
    let [read, initialize] = enter(subject, id, rights);
    let run = command(subject, &json!({"RunProcess": id}));
    let results = admin(subject, json!([read, initialize, run])).await?;
    answered(subject, &results[1], json!("InitializedProcess"))?;
    answered(subject, &results[2], json!("StartedProcess"))
}

/// Whether a process holds a right, by the kernel's account.
fn has_cap(subject: &Subject, on: &str, right: &Value) -> Value {
    command(
        subject,
        &json!({"Debug": {"HasCap": {"on": on, "cap": right}}}),
    )
}

async fn entered_and_run(subject: &Subject) -> Verdict {
    let made = id(subject, "made");
    let [read, initialize] = enter(subject, &made, &[to_admin(subject)]);
    let reserved = subject.id("").replacen(subject.column.process, "kernel", 1);
    let [_, a_kernel] = enter(subject, &reserved, &[]);
    let mut without_blob = initialize.clone();
    without_blob["await"]["inherit"] = json!(false);
    let run = |id: &str| command(subject, &json!({"RunProcess": id}));
    let results = admin(
        subject,
        json!([
            run(&made),
            without_blob,
            read,
            initialize,
            read,
            initialize,
            read,
            a_kernel,
            run(&made),
            run(&made),
            ask(&subject.module(&made), json!(["begun"])),
            command(subject, &json!({"KillProcess": made})),
        ]),
    )
    .await?;
    for (at, wanted) in [
        (0, "RunProcessError"),
        (1, "InitializeProcessError"),
        (3, "InitializedProcess"),
        (5, "InitializeProcessError"),
        (7, "InitializeProcessError"),
        (8, "StartedProcess"),
        (9, "StartedProcess"),
    ] {
        answered(subject, &results[at], json!(wanted))?;
    }
    matches(&results[10], json!({"is": "response", "body": [1]}))?;
    Ok(Cell::Conforms)
}

async fn initial_rights(subject: &Subject) -> Verdict {
    let made = id(subject, "modest");
    let [_, b, _] = subject.abc();
    let right = |issuer: &str, params: &str| json!({"issuer": issuer, "params": params});
    let messaging_b = right(&b, "\"messaging\"");
    let asked = [
        to_admin(subject),
        messaging_b.clone(),
        right(&subject.at("-private"), "\"messaging\""),
        right(&b, "\"made up\""),
    ];
    make(subject, &made, &asked).await?;
    let own = right(&subject.module(&made), "\"messaging\"");
    let results = admin(
        subject,
        json!([
            ask(&subject.module(&made), json!(["capabilities"])),
            has_cap(subject, &subject.id("-admin"), &own),
            command(subject, &json!({"KillProcess": made})),
        ]),
    )
    .await?;
    let mut wanted = vec![to_admin(subject), messaging_b, own];
    wanted.sort_by_key(ToString::to_string);
    let mut held = results[0]["body"][0]
        .as_array()
        .cloned()
        .unwrap_or_default();
    held.sort_by_key(ToString::to_string);
    if held != wanted {
        return Err(format!("it holds {held:?} where {wanted:?} was expected"));
    }
    answered(subject, &results[1], json!({"Debug": {"HasCap": true}}))?;
    Ok(Cell::Conforms)
}

async fn killed(subject: &Subject) -> Verdict {
    let made = id(subject, "short-lived");
    make(subject, &made, &[to_admin(subject)]).await?;
    let kill = json!({"KillProcess": made});
    let results = admin(
        subject,
        json!([
            command(subject, &kill),
            unanswered(subject, &kill),
            command(subject, &json!({"Debug": {"Process": made}})),
        ]),
    )
    .await?;
    answered(subject, &results[0], json!({"KilledProcess": made}))?;
    let kernel = subject.module("kernel:distro:sys");
    failed(subject, &results[1], "Timeout", &kernel)?;
    took(&results[1], ONE_SECOND)?;
    answered(subject, &results[2], json!({"Debug": {"Process": null}}))?;
    // Who does not ask is not told, and it is gone all the same.
    make(subject, &made, &[to_admin(subject)]).await?;
    let results = admin(
        subject,
        json!([
            {"send": {"to": kernel, "body": kill}},
            command(subject, &json!({"Debug": {"Process": made}})),
            "log",
        ]),
    )
    .await?;
    answered(subject, &results[1], json!({"Debug": {"Process": null}}))?;
    matches(&results[2], json!([]))?;
    Ok(Cell::Conforms)
}

/// What it issued is its token and the right to message it.
async fn revoked(subject: &Subject) -> Verdict {
    for (name, metadata, left) in [
        ("thorough", Value::Null, [false, false]),
        ("lenient", json!("no-revoke"), [true, true]),
    ] {
        let made = id(subject, name);
        let at = subject.module(&made);
        make(subject, &made, &[to_admin(subject)]).await?;
        let rights =
            ["\"token\"", "\"messaging\""].map(|params| json!({"issuer": at, "params": params}));
        let give = json!({"do": [{"respond": {"body": "given", "capabilities": [rights[0]]}}]});
        let mut kill = command(subject, &json!({"KillProcess": made}));
        kill["await"]["metadata"] = metadata;
        let own = subject.id("-admin");
        let held = || rights.each_ref().map(|right| has_cap(subject, &own, right));
        let [token, messaging] = held();
        let [token_after, messaging_after] = held();
        let results = admin(
            subject,
            json!([
                {"await": {"to": at, "expects": 5, "body": give}},
                {"save": [rights[0]]},
                token,
                messaging,
                kill,
                token_after,
                messaging_after,
                {"drop": rights},
            ]),
        )
        .await?;
        answered(subject, &results[4], json!({"KilledProcess": made}))?;
        let told = |held: bool| json!({"Debug": {"HasCap": held}});
        for (at, held) in [(2, true), (3, true), (5, left[0]), (6, left[1])] {
            answered(subject, &results[at], told(held))
                .map_err(|error| format!("{name}, {at}: {error}"))?;
        }
    }
    Ok(Cell::Conforms)
}

async fn granted(subject: &Subject) -> Verdict {
    let b = subject.id("-b");
    let right = json!({"issuer": subject.at("-c"), "params": "\"granted\""});
    let change = |name: &str| json!({name: {"target": b, "capabilities": [right]}});
    let (grant, take) = (change("GrantCapabilities"), change("DropCapabilities"));
    let kernel = subject.module("kernel:distro:sys");
    let send = |body: &Value| json!({"send": {"to": kernel, "body": body}});
    let nobody = subject.id("-nobody");
    let results = admin(
        subject,
        json!([
            has_cap(subject, &b, &right),
            send(&grant),
            has_cap(subject, &b, &right),
            send(&take),
            has_cap(subject, &b, &right),
            has_cap(subject, &nobody, &right),
            unanswered(subject, &grant),
            unanswered(subject, &take),
        ]),
    )
    .await?;
    for (at, held) in [
        (0, json!(false)),
        (2, json!(true)),
        (4, json!(false)),
        (5, Value::Null),
    ] {
        answered(subject, &results[at], json!({"Debug": {"HasCap": held}}))?;
    }
    for result in &results[6..] {
        failed(subject, result, "Timeout", &kernel)?;
        took(result, ONE_SECOND)?;
    }
    Ok(Cell::Conforms)
}

async fn set_on_exit(subject: &Subject) -> Verdict {
    let b = subject.id("-b");
    let last = json!({"Requests": [[
        subject.at(""),
        {"inherit": false, "expects_response": null, "body": [34, 120, 34], "metadata": null,
         "capabilities": []},
        null,
    ]]});
    let set = |on_exit: &Value| json!({"SetOnExit": {"target": b, "on_exit": on_exit}});
    let kernel = subject.module("kernel:distro:sys");
    let debug = command(subject, &json!({"Debug": {"Process": b}}));
    let results = admin(
        subject,
        json!([
            unanswered(subject, &set(&last)),
            debug,
            {"send": {"to": kernel, "body": set(&json!("Restart"))}},
            debug,
        ]),
    )
    .await?;
    failed(subject, &results[0], "Timeout", &kernel)?;
    for (at, wanted) in [(1, last), (3, json!("Restart"))] {
        let shown = &results[at]["body"]["Debug"]["Process"]["on_exit"];
        matches(shown, wanted)?;
    }
    Ok(Cell::Conforms)
}

async fn debug(subject: &Subject) -> Verdict {
    let a = subject.id("");
    let results = admin(
        subject,
        json!([
            command(subject, &json!({"Debug": "ProcessMap"})),
            command(subject, &json!({"Debug": {"Process": a}})),
        ]),
    )
    .await?;
    let map = &results[0]["body"]["Debug"]["ProcessMap"];
    let server = json!({"wasm_bytes_handle": "", "public": false});
    matches(&map[subject.column.server], server)?;
    let other = if subject.column.server.contains('_') {
        "http-server:distro:sys"
    } else {
        "http_server:distro:sys"
    };
    if map.get(other).is_some() {
        return Err(format!("the map has {other} too"));
    }
    let shown = &results[1]["body"]["Debug"]["Process"];
    matches(shown, map[&a].clone())?;
    let known = json!({
        "wasm_bytes_handle": subject.path(), "on_exit": "Restart", "public": false,
    });
    matches(shown, known)?;
    let right = json!({
        "issuer": subject.module(subject.column.server), "params": "\"messaging\"",
    });
    let held = shown["capabilities"].as_array();
    if !held.is_some_and(|held| held.contains(&right)) {
        return Err(format!("{right} is not in {}", shown["capabilities"]));
    }
    Ok(Cell::Conforms)
}

async fn no_answer(subject: &Subject) -> Verdict {
    let kernel = subject.module("kernel:distro:sys");
    // In the second script of its life, or a later one.
    admin(subject, json!(["begun"])).await?;
    let mut steps: Vec<Value> = [
        json!("Booted"),
        json!("Reboot"),
        json!({"RunProcess": "no id"}),
    ]
    .iter()
    .map(|body| unanswered(subject, body))
    .collect();
    steps.push(json!("begun"));
    let results = admin(subject, json!(steps)).await?;
    for result in &results[..3] {
        failed(subject, result, "Timeout", &kernel)?;
        took(result, ONE_SECOND)?;
    }
    // Its life goes on: nothing was started anew.
    if results[3].as_u64().is_none_or(|begun| begun < 2) {
        return Err(format!("its life is another: {}", results[3]));
    }
    Ok(Cell::Conforms)
}

async fn not_heard(subject: &Subject) -> Verdict {
    let kernel = subject.module("kernel:distro:sys");
    let b = subject.id("-b");
    let results = subject
        .run(json!([
            command(subject, &json!({"KillProcess": b})),
            {"send": {"to": kernel, "body": {"KillProcess": b}}},
            ask(&subject.at("-b"), json!([])),
        ]))
        .await?;
    failed(subject, &results[0], "Timeout", &kernel)?;
    took(&results[0], NO_TIME)?;
    matches(&results[2], json!({"is": "response"}))?;
    Ok(Cell::Conforms)
}

/// In any package; and the right to message the real one is what counts.
async fn called_kernel(subject: &Subject) -> Verdict {
    let b = subject.id("-b");
    let other = subject.module("kernel:conformance:test.dev");
    let asked = json!({"Debug": {"Process": b}});
    let asked = json!({"await": {"to": other, "expects": 5, "body": asked}});
    let results = admin(subject, json!([asked])).await?;
    let kernel = subject.module("kernel:distro:sys");
    matches(&results[0], json!({"is": "response", "source": kernel}))?;
    let kill = json!({"KillProcess": b});
    let kill = json!({"await": {"to": other, "expects": 5, "body": kill}});
    let results = subject
        .run(json!([kill, ask(&subject.at("-b"), json!([]))]))
        .await?;
    failed(subject, &results[0], "Timeout", &other)?;
    took(&results[0], NO_TIME)?;
    matches(&results[1], json!({"is": "response"}))?;
    Ok(Cell::Conforms)
}

/// A, to which two packages gave rights to databases of one name, hands them
/// to B, which keeps them. What is held names the packages.
async fn database(subject: &Subject) -> Verdict {
    let kv = subject.module("kv:distro:sys");
    let right = |params: Value| json!({"issuer": kv, "params": params.to_string()});
    let of = |package: &str| {
        let id = json!({"package_name": package, "publisher_node": "test.dev"});
        right(json!({"kind": "read", "db_key": [id, "notes"]}))
    };
    let scoped = [of("one"), of("two")];
    let (a, b) = (subject.id(""), subject.id("-b"));
    let grant = json!({"GrantCapabilities": {"target": a, "capabilities": scoped}});
    let kernel = subject.module("kernel:distro:sys");
    admin(subject, json!([{"send": {"to": kernel, "body": grant}}])).await?;
    // A name that stands for nothing it has gives nothing.
    let other = right(json!({"kind": "write", "db": "notes"}));
    let seen = if subject.column.newer {
        scoped.to_vec()
    } else {
        vec![json!({"issuer": kv, "params": r#"{"kind":"read","db":"notes"}"#})]
    };
    let mut given = seen.clone();
    given.push(other.clone());
    let keep = json!({"do": [{"save": given}, {"respond": {"body": "kept"}}]});
    let results = subject
        .run(json!([
            "capabilities",
            {"await": {"to": subject.at("-b"), "expects": 5, "body": keep, "capabilities": given}},
            ask(&subject.at("-b"), json!(["capabilities"])),
        ]))
        .await?;
    matches(&results[1], json!({"is": "response", "body": "kept"}))?;
    for held in [&results[0], &results[2]["body"][0]] {
        let held = held.as_array().cloned().unwrap_or_default();
        let of_kv: Vec<_> = held
            .into_iter()
            .filter(|right| right["issuer"] == *kv)
            .collect();
        if of_kv != seen {
            return Err(format!("sees {of_kv:?} where {seen:?} was expected"));
        }
    }
    let drop_all = json!([{"drop": seen}, "capabilities"]);
    let holds = |on: &str, right: &Value| has_cap(subject, on, right);
    let before = json!([
        holds(&b, &scoped[0]),
        holds(&b, &scoped[1]),
        holds(&b, &other)
    ]);
    let before = admin(subject, before).await?;
    subject.run(drop_all.clone()).await?;
    subject.run_at(&b, drop_all).await?;
    let after = json!([holds(&a, &scoped[0]), holds(&b, &scoped[1])]);
    let after = admin(subject, after).await?;
    for (answer, held) in before.iter().zip([true, true, false]) {
        answered(subject, answer, json!({"Debug": {"HasCap": held}}))?;
    }
    for answer in &after {
        answered(subject, answer, json!({"Debug": {"HasCap": false}}))?;
    }
    Ok(Cell::Conforms)
}
