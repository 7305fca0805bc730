//! The real world, as far as loopback goes.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

#[tokio::test]
async fn it_connects_to_exactly_the_address_given() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let outside = RealOutside::new(BTreeSet::from([address]));
    assert!(outside.is_exempt(address) && outside.has_exempt());
    assert!(!outside.is_exempt(SocketAddr::new(address.ip(), 1)) && !RealOutside::new(BTreeSet::new()).has_exempt());
    let (mut stream, accepted) = tokio::join!(async { outside.connect(address).await.unwrap() }, async { listener.accept().await.unwrap() });
    let (mut theirs, _) = accepted;
    stream.write_all(b"x").await.unwrap();
    assert_eq!(theirs.read_u8().await.unwrap(), b'x');
}

#[tokio::test]
async fn its_own_interfaces_include_loopback() {
    let all = RealOutside::new(BTreeSet::new()).interfaces().unwrap();
    assert!(all.iter().any(|interface| interface.ip.is_loopback() && interface.prefix >= 8), "{all:?}");
}
