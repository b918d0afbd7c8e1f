//! What Python bytecode names, for modules that come without their source.
//!
//! Bounded in depth and by its own length, whatever the bytes. Source: CPython's `Python/marshal.c` and
//! `Lib/importlib/_bootstrap_external.py`, for 3.8 to 3.14.

use std::rc::Rc;

use super::source::{Code, Import};

/// Deepest nesting of objects; CPython stops at 2000.
const MAX_DEPTH: usize = 200;
/// Header: magic number, flags, time and size or hash of the source.
const HEADER_BYTES: usize = 16;
/// Set in the flags of functions, not in those of modules and classes.
const CO_OPTIMIZED: u32 = 1;

/// The numbers of the instructions that make up an import.
struct Instructions {
    import_name: u8,
    load_const: u8,
    load_small_int: Option<u8>,
    extended_arg: u8,
}

/// The minor version of Python 3 that wrote this, by its magic number.
fn minor_version(magic: u16) -> Option<u8> {
    Some(match magic {
        3400..=3419 => 8,
        3420..=3429 => 9,
        3430..=3449 => 10,
        3450..=3499 => 11,
        3500..=3549 => 12,
        3550..=3599 => 13,
        3600..=3649 => 14,
        _ => return None,
    })
}

fn instructions(minor: u8) -> Option<Instructions> {
    match minor {
        8..=12 => {
            Some(Instructions { import_name: 108, load_const: 100, load_small_int: None, extended_arg: 144 })
        }
        13 => Some(Instructions { import_name: 75, load_const: 83, load_small_int: None, extended_arg: 71 }),
        _ => None,
    }
}

/// Reads a `.pyc` file. Where the version is unknown, every name that the code uses counts as an import.
pub(super) fn read(content: &[u8]) -> Code {
    let mut code = Code::default();
    let magic = content.get(..2).map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    let Some(minor) = minor_version(magic) else { return code };
    let Some(body) = content.get(HEADER_BYTES..) else { return code };
    let mut reader = Reader {
        bytes: body,
        minor,
        references: Vec::new(),
        instructions: instructions(minor),
        code: &mut code,
    };
    // Bytes that are none give what was found before.
    let _end = reader.object(0, false);
    code
}

#[derive(Debug, Clone)]
enum Value {
    Text(Rc<str>),
    Bytes(Rc<[u8]>),
    Tuple(Rc<[Value]>),
    Number(i64),
    Other,
}

struct Reader<'b, 'c> {
    bytes: &'b [u8],
    minor: u8,
    references: Vec<Value>,
    instructions: Option<Instructions>,
    code: &'c mut Code,
}

impl Reader<'_, '_> {
    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn text(&mut self, length: usize) -> Option<Value> {
        let bytes = self.take(length)?;
        Some(Value::Text(String::from_utf8_lossy(bytes).into()))
    }

    /// The next object. `is_lazy` says whether it belongs to a function.
    fn object(&mut self, depth: usize, is_lazy: bool) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        let kind = self.byte()?;
        let place = (kind & 0x80 != 0).then(|| {
            self.references.push(Value::Other);
            self.references.len() - 1
        });
        let value = match kind & 0x7f {
            b'N' | b'F' | b'T' | b'S' | b'.' | b'0' => Value::Other,
            b'i' => Value::Number(i64::from(self.number()?.cast_signed())),
            b'I' | b'g' => {
                self.take(8)?;
                Value::Other
            }
            b'y' => {
                self.take(16)?;
                Value::Other
            }
            b'f' => {
                let length = usize::from(self.byte()?);
                self.take(length)?;
                Value::Other
            }
            b'l' => {
                let digits = self.number()?.cast_signed().unsigned_abs();
                self.take(usize::try_from(digits).ok()?.checked_mul(2)?)?;
                Value::Other
            }
            b's' => {
                let length = usize::try_from(self.number()?).ok()?;
                Value::Bytes(self.take(length)?.into())
            }
            b't' | b'u' | b'a' | b'A' => {
                let length = usize::try_from(self.number()?).ok()?;
                self.text(length)?
            }
            b'z' | b'Z' => {
                let length = usize::from(self.byte()?);
                self.text(length)?
            }
            b')' => {
                let length = usize::from(self.byte()?);
                self.tuple(length, depth, is_lazy)?
            }
            b'(' | b'[' | b'<' | b'>' => {
                let length = usize::try_from(self.number()?).ok()?;
                self.tuple(length, depth, is_lazy)?
            }
            b'{' => {
                while self.bytes.first()? & 0x7f != b'0' {
                    self.object(depth + 1, is_lazy)?;
                    self.object(depth + 1, is_lazy)?;
                }
                self.byte()?;
                Value::Other
            }
            b':' => {
                self.tuple(3, depth, is_lazy)?;
                Value::Other
            }
            b'r' => {
                let at = usize::try_from(self.number()?).ok()?;
                self.references.get(at)?.clone()
            }
            b'c' => {
                self.code_object(depth, is_lazy)?;
                Value::Other
            }
            _ => return None,
        };
        if let Some(place) = place {
            self.references[place] = value.clone();
        }
        Some(value)
    }

    fn tuple(&mut self, length: usize, depth: usize, is_lazy: bool) -> Option<Value> {
        let mut values = Vec::new();
        for _ in 0..length {
            values.push(self.object(depth + 1, is_lazy)?);
        }
        Some(Value::Tuple(values.into()))
    }

    fn code_object(&mut self, depth: usize, is_lazy: bool) -> Option<()> {
        let numbers = if self.minor >= 11 { 5 } else { 6 };
        let mut flags = 0;
        for _ in 0..numbers {
            flags = self.number()?;
        }
        let is_lazy = is_lazy || flags & CO_OPTIMIZED != 0;
        let instructions = self.object(depth + 1, is_lazy)?;
        let constants = self.object(depth + 1, is_lazy)?;
        let names = self.object(depth + 1, is_lazy)?;
        // 3.11 and later: names and kinds of variables, file, name, qualified name; before: three lists of variables,
        // file, name.
        for _ in 0..5 {
            self.object(depth + 1, is_lazy)?;
        }
        self.number()?;
        for _ in 0..(if self.minor >= 11 { 2 } else { 1 }) {
            self.object(depth + 1, is_lazy)?;
        }
        self.imports(&instructions, &constants, &names, is_lazy);
        if let Value::Tuple(constants) = &constants {
            let texts = constants.iter().filter_map(|value| match value {
                Value::Text(text) => Some(text.to_string()),
                _ => None,
            });
            self.code.literals.extend(texts);
        }
        Some(())
    }

    /// `LOAD_CONST level; LOAD_CONST names; IMPORT_NAME module`.
    fn imports(&mut self, instructions: &Value, constants: &Value, names: &Value, is_lazy: bool) {
        let (Value::Bytes(bytes), Value::Tuple(constants), Value::Tuple(names)) =
            (instructions, constants, names)
        else {
            return;
        };
        let name = |at: usize| match names.get(at) {
            Some(Value::Text(text)) => Some(text.to_string()),
            _ => None,
        };
        let Some(numbers) = &self.instructions else {
            let all = (0..names.len()).filter_map(name).map(|module| Import {
                module,
                is_lazy,
                ..Import::default()
            });
            self.code.imports.extend(all);
            return;
        };
        let mut loaded = [Value::Other, Value::Other];
        let mut high = 0usize;
        for pair in bytes.chunks_exact(2) {
            let argument = ((high << 8) | usize::from(pair[1])) & 0xffff_ffff;
            high = if pair[0] == numbers.extended_arg { argument } else { 0 };
            if pair[0] == numbers.load_const {
                loaded = [loaded[1].clone(), constants.get(argument).cloned().unwrap_or(Value::Other)];
            } else if Some(pair[0]) == numbers.load_small_int {
                loaded = [loaded[1].clone(), Value::Number(i64::try_from(argument).unwrap_or_default())];
            } else if pair[0] == numbers.import_name
                && let Some(module) = name(argument)
            {
                let level = match loaded[0] {
                    Value::Number(level) => usize::try_from(level).unwrap_or_default(),
                    _ => 0,
                };
                let names = match &loaded[1] {
                    Value::Tuple(names) => names
                        .iter()
                        .filter_map(|name| match name {
                            Value::Text(name) => Some(name.to_string()),
                            _ => None,
                        })
                        .collect(),
                    _ => Vec::new(),
                };
                self.code.imports.push(Import { level, module, names, is_lazy });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A code object of a module or a function, for 3.11 and later or before.
    fn code(minor: u8, flags: u32, instructions: &[u8], constants: &[Vec<u8>], names: &[&str]) -> Vec<u8> {
        let mut out = vec![b'c' | 0x80];
        for _ in 0..if minor >= 11 { 4 } else { 5 } {
            out.extend(0u32.to_le_bytes());
        }
        out.extend(flags.to_le_bytes());
        out.push(b's');
        out.extend(u32::try_from(instructions.len()).unwrap().to_le_bytes());
        out.extend(instructions);
        out.extend(tuple(constants));
        out.extend(tuple(&names.iter().map(|name| text(name)).collect::<Vec<_>>()));
        out.extend(tuple(&[]));
        for _ in 0..4 {
            out.extend(text("x"));
        }
        out.extend(1u32.to_le_bytes());
        for _ in 0..if minor >= 11 { 2 } else { 1 } {
            out.extend(*b"s\0\0\0\0");
        }
        out
    }

    fn text(text: &str) -> Vec<u8> {
        [&[b'z' | 0x80, u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat()
    }

    fn tuple(parts: &[Vec<u8>]) -> Vec<u8> {
        [&[b')', u8::try_from(parts.len()).unwrap()][..], &parts.concat()].concat()
    }

    fn file(magic: u16, body: &[u8]) -> Vec<u8> {
        [&magic.to_le_bytes()[..], b"\r\n", &[0; 12], body].concat()
    }

    #[test]
    fn hard_41_imports_are_read_out_of_bytecode() {
        for (magic, minor, [load, import]) in
            [(3413, 8, [100, 108]), (3495, 11, [100, 108]), (3571, 13, [83, 75])]
        {
            let number = |n: u32| [&b"i"[..], &n.to_le_bytes()].concat();
            let inner = code(
                minor,
                3,
                &[load, 0, load, 1, import, 0],
                &[number(1), tuple(&[text("b"), text("c")])],
                &["a"],
            );
            let outer = code(
                minor,
                0,
                &[load, 0, load, 1, import, 0],
                &[number(0), b"N".to_vec(), inner, text("/etc/x")],
                &["os.path"],
            );
            let read = read(&file(magic, &outer));
            let expected = [
                Import { level: 1, module: "a".into(), names: vec!["b".into(), "c".into()], is_lazy: true },
                Import { level: 0, module: "os.path".into(), names: Vec::new(), is_lazy: false },
            ];
            assert_eq!(read.imports, expected, "{magic}");
            assert!(read.literals.contains("/etc/x"));
        }
    }

    #[test]
    fn nesting_without_end_ends() {
        let deep = [b'(', 1, 0, 0, 0].repeat(100_000);
        assert_eq!(read(&file(3495, &deep)), Code::default());
        assert_eq!(read(&file(3495, &[b'(', 255, 255, 255, 255])), Code::default());
    }

    /// A real interpreter, where this machine has one, compiles and we read.
    #[test]
    fn hard_41_bytecode_of_this_machines_python_is_read() {
        let source =
            "import os.path\nfrom .a import b\ndef f():\n  import json.decoder\nclass C:\n  import csv\n";
        let program = "import sys,importlib._bootstrap_external as b; sys.stdout.buffer.write(\
            b._code_to_timestamp_pyc(compile(sys.argv[1], 'm', 'exec')))";
        let Ok(output) = std::process::Command::new("python3").args(["-c", program, source]).output() else {
            println!("SKIP no python3 here");
            assert!(std::env::var_os("CAREEN_NO_SKIP").is_none());
            return;
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let found = read(&output.stdout);
        for (module, level, is_lazy) in
            [("os.path", 0, false), ("a", 1, false), ("json.decoder", 0, true), ("csv", 0, false)]
        {
            let import = found.imports.iter().find(|import| import.module == module);
            assert_eq!(
                import.map(|import| (import.level, import.is_lazy)),
                Some((level, is_lazy)),
                "{module}: {found:?}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            read(&file(3495, &bytes));
        }
    }
}
