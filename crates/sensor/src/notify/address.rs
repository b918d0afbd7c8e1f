//! Paths in the addresses of sockets.

use sys::seccomp::Notification;

use super::task::{Task, Unread};
use crate::wire::Op;

const AF_UNIX: u16 = 1;
const SUN_PATH_MAX: u64 = 108;
/// Messages of one sendmmsg that are looked at, as many as the kernel sends (UIO_MAXIOV).
const MAX_MESSAGES: u64 = 1024;

/// The paths that a socket call names, with what it does with them.
pub(super) fn paths(
    task: &Task,
    call: &Notification,
    op: Op,
    word: u64,
) -> Result<Vec<(Op, Vec<u8>)>, Unread> {
    let arguments = call.arguments;
    let one =
        |op, address, length| Ok(path(task, address, length)?.map(|path| (op, path)).into_iter().collect());
    match op {
        Op::Send => one(Op::Connect, arguments[4], arguments[5]),
        Op::SendMessage => {
            Ok(message(task, arguments[1], word)?.map(|path| (Op::Connect, path)).into_iter().collect())
        }
        Op::SendMessages => messages(task, arguments[1], arguments[2], word),
        Op::SocketCall => multiplexed(task, arguments),
        op => one(op, arguments[1], arguments[2]),
    }
}

/// An array of messages, each followed by a length.
fn messages(task: &Task, at: u64, count: u64, word: u64) -> Result<Vec<(Op, Vec<u8>)>, Unread> {
    let count = u64::from(count as u32).min(MAX_MESSAGES);
    let size = if word == 4 { 32 } else { 64 };
    let mut found = Vec::new();
    for index in 0..count {
        match message(task, at.wrapping_add(index * size), word) {
            Ok(path) => found.extend(path.map(|path| (Op::Connect, path))),
            // The kernel stops there, too.
            Err(Unread::Nothing) => break,
            Err(unread) => return Err(unread),
        }
    }
    Ok(found)
}

/// `struct msghdr`: the address and its length come first.
fn message(task: &Task, at: u64, word: u64) -> Result<Option<Vec<u8>>, Unread> {
    let address = task.word(at, word)?;
    let length = task.word(at.wrapping_add(word), 4)?;
    path(task, address, length)
}

/// i386 has one call for all: the arguments lie in memory.
fn multiplexed(task: &Task, arguments: [u64; 6]) -> Result<Vec<(Op, Vec<u8>)>, Unread> {
    let word = |index: u64| task.word(arguments[1].wrapping_add(4 * index), 4);
    let found = match arguments[0] {
        2 => path(task, word(1)?, word(2)?)?.map(|path| (Op::Bind, path)),
        3 => path(task, word(1)?, word(2)?)?.map(|path| (Op::Connect, path)),
        11 => path(task, word(4)?, word(5)?)?.map(|path| (Op::Connect, path)),
        16 => message(task, word(1)?, 4)?.map(|path| (Op::Connect, path)),
        20 => return messages(task, word(1)?, word(2)?, 4),
        _ => None,
    };
    Ok(found.into_iter().collect())
}

/// The path of a `struct sockaddr_un`.
fn path(task: &Task, address: u64, length: u64) -> Result<Option<Vec<u8>>, Unread> {
    let length = u64::from(length as u32);
    if address == 0 || length <= 2 || u16::from_ne_bytes(task.bytes(address)?) != AF_UNIX {
        return Ok(None);
    }
    let room = usize::try_from((length - 2).min(SUN_PATH_MAX)).unwrap_or(0);
    let text = task.text_within(address.wrapping_add(2), room, true)?;
    // Abstract ones start with NUL.
    Ok((!text.is_empty()).then_some(text))
}
