//! Who is compiled when at one station, in virtual time.

use futures::future::join;
use station_node::engine::Own;
use station_node::ledger::Ledger;
use station_protocol::accounts::Charge;
use station_protocol::address::Reach;
use station_protocol::{Content, NodeId};

use super::*;

fn stranger(ledger: &Ledger, number: u8) -> Asker {
    let requester = NodeId([number; 32]);
    Asker { requester, purse: ledger.purse(requester) }
}

fn cid(name: &str) -> Cid {
    Content::raw(name.as_bytes()).cid
}

fn ledger() -> Ledger {
    Ledger::new(Reach::Any, [])
}

#[test]
fn a_module_says_what_it_takes_or_its_size_does() {
    assert_eq!([takes_ms(&module(20_000, 7)), takes_ms(&[0; 1_258]), takes_ms(&[0; 1_259])], [20_000, 1, 2]);
    assert_ne!(module(20_000, 7), module(20_000, 8));
}

#[tokio::test(start_paused = true)]
async fn a_module_is_compiled_once_for_all_who_wait_and_never_again() {
    let (compiler, ledger, begun) = (Compiler::default(), ledger(), Instant::now());
    let compile = |number| compiler.compile(stranger(&ledger, number), cid("shared"), 9, 3_000);
    assert_eq!(join(compile(1), compile(2)).await, (Ok(()), Ok(())));
    assert_eq!(compile(3).await, Ok(()));
    assert_eq!(begun.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_small_module_waits_for_one_quantum_whatever_else_is_compiled() {
    let (compiler, ledger, begun) = (Compiler::default(), ledger(), Instant::now());
    let dear = |number: u8| compiler.compile(stranger(&ledger, number), cid(&format!("dear {number}")), 9, 40_000);
    let small = async {
        tokio::time::sleep_until(begun + Duration::from_millis(10)).await;
        compiler.compile(stranger(&ledger, 9), cid("small"), 9, 40).await.expect("it is compiled");
        begun.elapsed()
    };
    let (_, took) = tokio::join!(async { tokio::time::timeout(Duration::from_secs(5), join(dear(1), dear(2))).await }, small);
    assert!(took <= Duration::from_millis(2_100), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_has_used_its_share_is_not_compiled_and_what_ended_is_paid() {
    let (compiler, ledger) = (Compiler::default(), ledger());
    let burst = Charge::CompileMs.payer().burst;
    let compile = |name: &str| compiler.compile(stranger(&ledger, 1), cid(name), 9, 10 * burst);
    // Nobody waits for it any more: it ends, and the time that it took is paid.
    let ended = tokio::time::timeout(Duration::from_millis(2 * burst), compile("dear")).await;
    assert!(ended.is_err());
    assert!(matches!(compile("next").await, Err(EngineError::NotNow(_))));
    let own = Asker { requester: NodeId([2; 32]), purse: Arc::new(Own) };
    assert_eq!(compiler.compile(own, cid("own"), 9, 1).await, Ok(()));
}
