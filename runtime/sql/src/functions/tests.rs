//! Our functions beside SQLite's.

use proptest::prelude::*;

use super::*;

fn ours() -> Connection {
    crate::memory::install().unwrap();
    let connection = Connection::open_in_memory().unwrap();
    let meter = Arc::new(Meter::new(Arc::default()));
    register(&connection, &meter, &Arc::default(), 1 << 20).unwrap();
    connection
}

fn ask(connection: &Connection, sql: &str, params: &[Value]) -> Result<Value> {
    let params = rusqlite::params_from_iter(params.iter());
    connection.query_row(sql, params, |row| row.get(0))
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[aAbB%_*?^\\[\\]\u{e9}\u{c9}-]{0,8}".prop_map(Value::Text),
        "[ab \u{e9}]{0,6}".prop_map(Value::Text),
        proptest::collection::vec(prop_oneof![Just(0x61u8), Just(0xc3), Just(0xa9)], 0..5)
            .prop_map(Value::Blob),
        (-20i64..20).prop_map(Value::Integer),
        prop_oneof![Just(1.5), Just(1e300), Just(-0.1)].prop_map(Value::Real),
        Just(Value::Null),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn results_are_those_of_sqlite(one in value(), other in value(), third in value()) {
        let (ours, sqlites) = (ours(), Connection::open_in_memory().unwrap());
        for sql in [
            "SELECT ?1 LIKE ?2",
            "SELECT ?1 LIKE ?2 ESCAPE 'b'",
            "SELECT ?1 LIKE ?2 ESCAPE '%'",
            "SELECT ?1 GLOB ?2",
            "SELECT instr(?1, ?2)",
            "SELECT hex(replace(?1, ?2, ?3)) || typeof(replace(?1, ?2, ?3))",
            "SELECT hex(trim(?1, ?2)) || hex(ltrim(?1, ?2)) || hex(rtrim(?1, ?2))",
            "SELECT typeof(trim(?1)) || hex(trim(?1)) || hex(ltrim(?1)) || hex(rtrim(?1))",
            "SELECT unhex(?1, ?2)",
            "SELECT ?1 IN (?2, ?3)",
        ] {
            let params = [one.clone(), other.clone(), third.clone()];
            let params = &params[..ours.prepare(sql).unwrap().parameter_count()];
            let expected = ask(&sqlites, sql, params).map_err(|error| error.to_string());
            let found = ask(&ours, sql, params).map_err(|error| error.to_string());
            prop_assert_eq!(found, expected, "{} {:?}", sql, params);
        }
    }
}

#[test]
fn a_patch_is_json_to_other_functions() {
    let (ours, sqlites) = (ours(), Connection::open_in_memory().unwrap());
    for sql in [
        "SELECT json_array(json_patch('{\"a\":1}', '{\"b\":[2]}'))",
        "SELECT json(jsonb_patch('{\"a\":1}', '{\"a\":null}'))",
        "SELECT json_patch(NULL, '{}')",
    ] {
        let expected = ask(&sqlites, sql, &[]).unwrap();
        assert_eq!(ask(&ours, sql, &[]).unwrap(), expected, "{sql}");
    }
    let long = "SELECT json_patch(zeroblob(100000), zeroblob(100000))";
    assert!(ask(&ours, long, &[]).is_err());
}

#[test]
fn they_may_be_used_in_indices_and_views() {
    let connection = ours();
    connection
        .execute_batch(
            "PRAGMA trusted_schema=OFF;
             CREATE TABLE t(a TEXT, b TEXT AS (replace(a, 'x', 'y')));
             CREATE INDEX i ON t(trim(a));
             CREATE VIEW v AS SELECT instr(a, 'b') AS p FROM t WHERE a LIKE '%b%';
             INSERT INTO t(a) VALUES (' xb ');",
        )
        .unwrap();
    let found = ask(&connection, "SELECT b || (SELECT p FROM v) FROM t", &[]).unwrap();
    assert_eq!(found, Value::Text(" yb 3".to_owned()));
}
