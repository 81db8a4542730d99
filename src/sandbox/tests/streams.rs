use futures_util::TryStreamExt;

use super::*;

impl Scene {
    /// The pieces of a streamed chat, and whether it ended as it should.
    async fn pieces(&self, text: &str) -> (Vec<Bytes>, bool) {
        let reply = self.try_send(self.post("one", CHAT, &streamed(text))).await.unwrap();
        let mut body = reply.into_body().into_data_stream();
        let mut pieces = Vec::new();
        loop {
            match body.try_next().await {
                Ok(Some(piece)) => pieces.push(piece),
                end => return (pieces, end.is_ok()),
            }
        }
    }
}

fn joined(pieces: &[Bytes]) -> String {
    String::from_utf8(pieces.concat()).unwrap()
}

#[tokio::test]
async fn a_stream_can_be_cut_in_the_middle_of_its_third_frame() {
    let scene = Scene::new().await;
    for fault in [Fault::Truncate, Fault::ResetMidBody] {
        scene.spoil(fault);
        let (pieces, whole) = scene.pieces("Hello").await;
        assert!(!whole);
        let text = joined(&pieces);
        assert_eq!((text.matches("\n\n").count(), text.matches("data: ").count()), (2, 3));
    }
}

#[tokio::test]
async fn a_stream_can_end_too_early_without_done_or_with_two() {
    let scene = Scene::new().await;
    for (fault, frames, done) in [
        (Fault::EndEarly { frames: 3 }, Some(3), 0),
        (Fault::WithoutDone, None, 0),
        (Fault::DoubledDone, None, 2),
    ] {
        scene.spoil(fault);
        let (pieces, whole) = scene.pieces("Hello").await;
        let text = joined(&pieces);
        assert!(whole);
        assert_eq!(text.matches("data: [DONE]\n\n").count(), done);
        assert!(frames.is_none_or(|frames| text.matches("\n\n").count() == frames));
    }
    assert_eq!(scene.imitation.seen().streams.ended, 3);
}

#[tokio::test]
async fn chinese_is_answered_in_chinese_in_pieces_that_part_letters() {
    let scene = Scene::new().await;
    let (pieces, whole) = scene.pieces("你好").await;
    assert!(whole && joined(&pieces).contains("这里"));
    assert!(pieces.iter().any(|piece| std::str::from_utf8(piece).is_err()));
}

#[tokio::test(start_paused = true)]
async fn a_stream_can_drip_byte_by_byte() {
    let scene = Scene::new().await;
    let (honest, _) = scene.pieces("你好").await;
    scene.spoil(Fault::Drip { bytes: 1, pause_ms: 1 });
    let (pieces, whole) = scene.pieces("你好").await;
    assert!(whole && pieces.iter().all(|piece| piece.len() == 1));
    let said = |text: &str| text.matches("content").count();
    assert_eq!(said(&joined(&pieces)), said(&joined(&honest)));
}

#[tokio::test]
async fn an_answer_can_stop_after_its_head_or_between_frames() {
    let scene = Scene::new().await;
    for (frames, request) in [
        (0, streamed("x")),
        (2, streamed("x")),
        (0, question("x")),
        (1, question("x")),
    ] {
        scene.spoil(Fault::Stall { frames });
        let before = scene.imitation.seen().streams.closed_by_caller;
        let mut body = scene
            .try_send(scene.post("one", CHAT, &request))
            .await
            .unwrap()
            .into_body();
        let mut text = Vec::new();
        while text.windows(2).filter(|two| two == b"\n\n" || two == b"}}").count() < frames {
            text.extend_from_slice(&body.frame().await.unwrap().unwrap().into_data().unwrap());
        }
        assert_eq!(scene.imitation.seen().streams.open, 1);
        drop(body);
        scene.until(|seen| seen.streams.closed_by_caller == before + 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_pace_of_streams_can_be_set_for_all_and_for_one() {
    let scene = Scene::with(|settings| {
        settings.frame_interval = Duration::from_millis(100);
        settings.stream_words = Some(20);
    })
    .await;
    let words = |text: &str| text.matches(r#""content":""#).count() - 1;
    let start = Instant::now();
    let (pieces, _) = scene.pieces("Hello").await;
    assert_eq!(words(&joined(&pieces)), 20);
    // The role, the end and `[DONE]` are frames too.
    assert!(start.elapsed() >= Duration::from_millis(2200));

    scene.spoil(Fault::Pace(Pace {
        words: Some(3),
        interval: Duration::from_secs(1),
    }));
    let start = Instant::now();
    let (pieces, _) = scene.pieces("Hello").await;
    assert_eq!(words(&joined(&pieces)), 3);
    assert!(start.elapsed() >= Duration::from_secs(5));
}

#[tokio::test]
async fn open_streams_are_counted_and_so_are_those_that_their_caller_closed() {
    let scene = Scene::with(|settings| settings.frame_interval = Duration::from_hours(1)).await;
    let mut bodies = Vec::new();
    for _ in 0..3 {
        let mut body = scene
            .try_send(scene.post("one", CHAT, &streamed("x")))
            .await
            .unwrap()
            .into_body();
        body.frame().await.unwrap().unwrap();
        bodies.push(body);
    }
    let seen = scene.imitation.seen();
    assert_eq!((seen.streams.open, seen.account("ak_one").in_flight), (3, 3));
    drop(bodies);
    scene.until(|seen| seen.in_flight == 0).await;
    let streams = Streams {
        begun: 3,
        open: 0,
        peak_open: 3,
        ended: 0,
        closed_by_caller: 3,
    };
    let seen = scene.imitation.seen();
    assert_eq!((seen.streams, seen.abandoned), (streams, 3));
}

#[tokio::test]
async fn a_stream_can_be_unusable() {
    let scene = Scene::new().await;
    scene.spoil(Fault::Garbage);
    let (pieces, whole) = scene.pieces("Hello").await;
    let text = joined(&pieces);
    let third = text.split("\n\n").nth(2).unwrap();
    assert!(whole && serde_json::from_str::<Value>(third.strip_prefix("data: ").unwrap()).is_err());

    scene.spoil(Fault::Oversize { bytes: 1_000_000 });
    let (pieces, whole) = scene.pieces("Hello").await;
    let text = joined(&pieces);
    assert_eq!((whole, text.len(), text.matches("\n\n").count()), (true, 1_000_000, 1));

    scene.spoil(Fault::Compressed);
    let reply = scene.send(scene.post("one", CHAT, &streamed("Hello"))).await;
    assert_eq!(reply.headers["content-encoding"], "gzip");
    assert!(reply.body.starts_with(&[0x1f, 0x8b]));
}
