//! The program itself, as a process.

use super::*;

#[tokio::test]
async fn the_program_ends_well_on_sigterm_and_finishes_what_it_has_in_hand() {
    let place = Place::new().await;
    let program = place.program();
    let mut process = program.serve();
    let alice = program.client("alice").at(&process.url);
    let slow = Rule::on(SUBMIT, Fault::None).after(Duration::from_millis(500));
    place.upstream.faults().push(slow).unwrap();
    let flight = alice.launch("term-1");
    place.has_seen("term-1").await;

    process.signal("TERM");

    assert_eq!(flight.await.unwrap().status, 200);
    assert_eq!(process.ended().await.code(), Some(0));
    assert_eq!(outcomes_after_a_clean_end(&place.database()), [Outcome::Succeeded]);
}

#[tokio::test]
async fn the_program_hurries_on_a_second_signal() {
    let place = Place::new().await;
    place.hang();
    let program = place.program();
    let mut process = program.serve();
    let flight = program.client("alice").at(&process.url).launch("twice-1");
    place.has_seen("twice-1").await;

    process.signal("TERM");
    process.signal("INT");

    assert_eq!(
        process.ended().await.code(),
        Some(0),
        "long before the 40 seconds of a drain"
    );
    flight.abort();
}

#[tokio::test]
async fn commands_work_beside_a_running_server_and_without_one() {
    let place = Place::new().await;
    let program = place.program();
    let mut process = program.serve();
    let alice = program.client("alice").at(&process.url);
    let task = alice.submit(&submit_body("beside-1")).await.task_id();

    let commands_work = || {
        let keys = program.json(&["key", "list"]).to_string();
        assert!(keys.contains("alice"), "{keys}");
        let tasks = program.json(&["task", "list"]).to_string();
        assert!(tasks.contains(&task), "{tasks}");
        assert_eq!(program.json(&["audit", "verify"])["intact"], true);
    };
    commands_work();
    process.signal("TERM");
    process.ended().await;
    commands_work();
}

#[tokio::test]
async fn the_health_command_tells_by_its_exit_code() {
    let place = Place::new().await;
    let mut process = place.program().serve();
    let (_, port) = process.url.rsplit_once(':').unwrap();
    let program = place.program().with("PORT", port);

    let well = program.run(&["health"]);
    assert_eq!((well.code, well.output.as_str()), (Some(0), ""));
    process.signal("TERM");
    process.ended().await;
    let gone = program.run(&["health"]);
    assert_eq!(gone.code, Some(1));
    assert!(!gone.errors.is_empty());
}

#[tokio::test]
async fn a_store_that_fails_ends_the_program_in_order_and_not_well() {
    let place = Place::new().await;
    // No file may grow beyond 3 MiB: the store's growth fails in the middle of a commit.
    let limited = ["sh", "-c", "trap '' XFSZ; ulimit -f 6144; exec \"$@\"", "sh"];
    let program = place.program();
    let mut process = program.clone().run_under(&limited).serve();
    let alice = program.client("alice").at(&process.url);

    let body = serde_json::json!({"code": 10_000, "data": {"pad": "x".repeat(200_000)}}).to_string();
    let large = Answer {
        body: Some(body),
        ..Answer::default()
    };
    place
        .upstream
        .faults()
        .push(Rule::any(Fault::Answer(large)).always())
        .unwrap();

    let call = async |number: usize| {
        let marker = format!("fill-{number}");
        let call = alice
            .idempotent(&marker)
            .send(http::Method::POST, PROCESS, &submit_body(&marker))
            .await;
        call.map(|reply| reply.status.as_u16())
    };
    let mut answers = Vec::new();
    while answers.iter().all(|answer| matches!(answer, Ok(200))) && answers.len() < 160 {
        let round = answers.len()..answers.len() + 16;
        answers.extend(join_all(round.map(call)).await);
    }

    assert_eq!(process.ended().await.code(), Some(1));
    let told = answers.iter().flatten().filter(|status| **status != 200);
    assert!(
        told.clone().all(|status| *status == 503),
        "{:?}",
        told.collect::<Vec<_>>()
    );
    let mut again = program.serve();
    assert!(
        program.run(&["audit", "verify"]).succeeded(),
        "what was committed is whole"
    );
    again.signal("TERM");
    assert_eq!(again.ended().await.code(), Some(0));
}

const PROCESS: &str = "/?Action=CVProcess&Version=2022-08-31";
