//! What is heard of a guest's progress, from a session of canned steps.

use station_sandbox::HostCall;

use super::*;

/// Says these things of its progress, then ends.
struct Canned(Vec<(u32, &'static str)>);

impl Canned {
    fn next(&mut self) -> BoxFuture<'_, Result<Step, EngineError>> {
        let said = if self.0.is_empty() { None } else { Some(self.0.remove(0)) };
        let call = |(permille, message): (u32, &str)| Step::Call(HostCall::Progress { permille, message: message.to_owned() });
        Box::pin(std::future::ready(said.map(call).ok_or_else(|| EngineError::Failed("over".into()))))
    }
}

impl Session for Canned {
    fn start(&mut self, _: Load) -> BoxFuture<'_, Result<Step, EngineError>> {
        self.next()
    }

    fn step(&mut self, _: Reply) -> BoxFuture<'_, Result<Step, EngineError>> {
        self.next()
    }
}

#[tokio::test]
async fn the_last_word_on_progress_is_heard_however_soon_it_follows_the_first() {
    let mut heard = Heard { session: Box::new(Canned(vec![(0, "begins"), (700, "second half"), (5_000, "all")])), progress: None };
    let load = Load { input: Vec::new(), fuel: 1, memory_bytes: 1, wall_ms: 1, output_bytes: 1, pure: None };
    heard.start(load).await.expect("a call");
    assert_eq!(heard.progress, Some(SayingBody { permille: 0, message: "begins".into() }));
    for (permille, message) in [(700, "second half"), (1_000, "all")] {
        heard.step(Reply::Number(0)).await.expect("a call");
        assert_eq!(heard.progress, Some(SayingBody { permille, message: message.into() }));
    }
    assert!(heard.step(Reply::Number(0)).await.is_err());
    assert!(heard.progress.is_some(), "the end says nothing else");
}
