use super::*;

#[test]
fn what_is_written_is_read_and_what_is_no_frame_is_an_error() {
    let mut bytes = Vec::new();
    write(&mut bytes, &Ask::Step { session: 7, reply: Reply::Bytes(vec![1, 2]) }).expect("written");
    write(&mut bytes, &Ask::Start { session: 8, input: vec![3], fuel: 1, memory_bytes: 2, output_bytes: 3, pure: Some([9; 32]) }).expect("written");
    let mut from = bytes.as_slice();
    assert!(matches!(read(&mut from), Ok(Ask::Step { session: 7, reply: Reply::Bytes(bytes) }) if bytes == [1, 2]));
    assert!(matches!(read(&mut from), Ok(Ask::Start { session: 8, pure: Some(seed), .. }) if seed == [9; 32]));
    let ended = read::<Ask>(&mut from).expect_err("nothing is left");
    assert_eq!(ended.kind(), io::ErrorKind::UnexpectedEof);
    assert!(read::<Ask>(&mut [255; 8].as_slice()).is_err(), "a length beyond the bound");
    assert!(read::<Ask>(&mut [1, 0, 0, 0, 0xa0].as_slice()).is_err(), "no question");
}
