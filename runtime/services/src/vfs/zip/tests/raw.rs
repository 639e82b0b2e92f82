//! Archives made byte by byte, right or as wrong as one likes. Uses nothing but
//! the standard library: tests of several crates and the fuzzers' seeds are
//! made with it.

/// The flag of an entry that is encrypted.
pub const ENCRYPTED: u16 = 1;
/// The flag of an entry whose name is UTF-8.
pub const UTF8: u16 = 1 << 11;
/// The method of an entry that is as it is.
pub const STORED: u16 = 0;
/// The usual method.
pub const DEFLATED: u16 = 8;

/// One entry. What the archive says about it need not be so.
#[derive(Clone)]
pub struct Entry {
    /// Its name in the directory.
    pub name: Vec<u8>,
    /// The name in the entry's own header, if it is another.
    pub local_name: Option<Vec<u8>>,
    /// How it is packed.
    pub method: u16,
    /// See [`ENCRYPTED`] and [`UTF8`].
    pub flags: u16,
    /// Its packed bytes.
    pub packed: Vec<u8>,
    /// Its checksum.
    pub crc: u32,
    /// Packed bytes it says it has.
    pub packed_size: u32,
    /// Bytes it says it becomes.
    pub size: u32,
    /// The extra field in the directory.
    pub extra: Vec<u8>,
    /// The extra field in its own header.
    pub local_extra: Vec<u8>,
    /// Mode of Unix; 0 for none.
    pub mode: u32,
    /// Where its header is said to be, if not where it is.
    pub offset: Option<u32>,
}

impl Entry {
    /// A file as it is.
    pub fn stored(name: impl AsRef<[u8]>, content: &[u8]) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            local_name: None,
            method: STORED,
            flags: UTF8,
            packed: content.to_vec(),
            crc: crc32(content),
            packed_size: content.len() as u32,
            size: content.len() as u32,
            extra: Vec::new(),
            local_extra: Vec::new(),
            mode: 0,
            offset: None,
        }
    }

    /// A directory, if the name ends in a slash.
    pub fn empty(name: impl AsRef<[u8]>) -> Self {
        Self::stored(name, b"")
    }

    /// A file of zeros, packed as tightly as this method can.
    pub fn zeros(name: impl AsRef<[u8]>, len: usize) -> Self {
        let packed = deflated_zeros(len);
        Self {
            method: DEFLATED,
            crc: crc32_of_zeros(len),
            packed_size: packed.len() as u32,
            packed,
            size: len as u32,
            ..Self::empty(name)
        }
    }
}

/// An archive of `entries`.
pub fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut offsets = Vec::new();
    for entry in entries {
        offsets.push(bytes.len() as u32);
        local(&mut bytes, entry);
        bytes.extend(&entry.packed);
    }
    finish(bytes, entries, &offsets)
}

/// `bytes` with the directory of `entries`, whose headers are at `offsets`.
pub fn finish(mut bytes: Vec<u8>, entries: &[Entry], offsets: &[u32]) -> Vec<u8> {
    let start = bytes.len() as u32;
    for (entry, offset) in entries.iter().zip(offsets) {
        central(&mut bytes, entry, *offset);
    }
    let size = bytes.len() as u32 - start;
    end(&mut bytes, entries.len() as u16, size, start);
    bytes
}

/// An entry's own header.
pub fn local(into: &mut Vec<u8>, entry: &Entry) {
    let name = entry.local_name.as_ref().unwrap_or(&entry.name);
    into.extend(b"PK\x03\x04");
    put16(into, &[20, entry.flags, entry.method, 0, 0x21]);
    put32(into, &[entry.crc, entry.packed_size, entry.size]);
    put16(into, &[name.len() as u16, entry.local_extra.len() as u16]);
    into.extend(name);
    into.extend(&entry.local_extra);
}

/// An entry of the directory.
pub fn central(into: &mut Vec<u8>, entry: &Entry, offset: u32) {
    into.extend(b"PK\x01\x02");
    // Made on Unix, so that the mode counts.
    put16(
        into,
        &[(3 << 8) | 20, 20, entry.flags, entry.method, 0, 0x21],
    );
    put32(into, &[entry.crc, entry.packed_size, entry.size]);
    put16(into, &[entry.name.len() as u16, entry.extra.len() as u16]);
    put16(into, &[0, 0, 0]);
    put32(into, &[entry.mode << 16, entry.offset.unwrap_or(offset)]);
    into.extend(&entry.name);
    into.extend(&entry.extra);
}

/// What an archive ends with.
pub fn end(into: &mut Vec<u8>, entries: u16, size: u32, start: u32) {
    into.extend(b"PK\x05\x06");
    put16(into, &[0, 0, entries, entries]);
    put32(into, &[size, start]);
    put16(into, &[0]);
}

/// `count` files that share one kernel of `len` zeros. Each is packed as the
/// headers of those behind it, put as they are, and the kernel.
pub fn overlapping(count: usize, len: usize) -> Vec<u8> {
    let kernel = deflated_zeros(len);
    let name = |number: usize| format!("{number:05}");
    let (header, quote) = (30 + 5, 5);
    let total = count * header + (count - 1) * quote + kernel.len();
    let mut bytes = Vec::new();
    let (mut entries, mut offsets) = (Vec::new(), Vec::new());
    for number in 0..count {
        let mut entry = Entry::empty(name(number));
        let data = bytes.len() + header;
        entry.method = DEFLATED;
        entry.packed_size = (total - data) as u32;
        entry.size = (len + (count - 1 - number) * header) as u32;
        offsets.push(bytes.len() as u32);
        local(&mut bytes, &entry);
        if number + 1 < count {
            // A block that is stored: as many bytes as the next header.
            let length = header as u16;
            bytes.push(0);
            put16(&mut bytes, &[length, !length]);
        }
        entries.push(entry);
    }
    bytes.extend(&kernel);
    finish(bytes, &entries, &offsets)
}

/// `count` files that share one kernel, which each reaches over the headers of
/// the others by calling them its extra field.
pub fn overlapping_by_extra_fields(count: usize, len: usize) -> Vec<u8> {
    let kernel = Entry::zeros("", len);
    let header = 30 + 5;
    let mut bytes = Vec::new();
    let (mut entries, mut offsets) = (Vec::new(), Vec::new());
    for number in 0..count {
        let mut entry = kernel.clone();
        entry.name = format!("{number:05}").into_bytes();
        offsets.push(bytes.len() as u32);
        local(&mut bytes, &entry);
        let behind = ((count - 1 - number) * header) as u16;
        let extra = bytes.len() - header + 28;
        bytes[extra..extra + 2].copy_from_slice(&behind.to_le_bytes());
        entries.push(entry);
    }
    bytes.extend(&kernel.packed);
    finish(bytes, &entries, &offsets)
}

/// A directory of `entries` and `ends` ends, each of which says that it has one
/// entry more.
pub fn many_ends(entries: usize, ends: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 0..entries {
        central(&mut bytes, &Entry::empty(number.to_string()), 0);
    }
    let size = bytes.len() as u32;
    for _ in 0..ends {
        end(&mut bytes, entries as u16 + 1, size, 0);
    }
    bytes
}

fn put16(into: &mut Vec<u8>, numbers: &[u16]) {
    for number in numbers {
        into.extend(number.to_le_bytes());
    }
}

fn put32(into: &mut Vec<u8>, numbers: &[u32]) {
    for number in numbers {
        into.extend(number.to_le_bytes());
    }
}

/// `len` zeros in one block with the fixed codes: one zero, then copies of the
/// longest kind, 13 bits for 258 bytes.
pub fn deflated_zeros(len: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    // The last block, of fixed codes.
    bits.push(0b110, 3);
    let literals = len.min(1 + len.saturating_sub(1) % 258);
    for _ in 0..literals {
        bits.push(0x30, 8);
    }
    for _ in 0..(len - literals) / 258 {
        bits.push(0b1100_0101, 8);
        // One byte back.
        bits.push(0, 5);
    }
    // The end of the block.
    bits.push(0, 7);
    bits.bytes
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    /// Adds the lowest `count` bits of `code`, the highest of them first, as
    /// codes are; bytes are filled from their lowest bit.
    fn push(&mut self, code: u32, count: u32) {
        for place in (0..count).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= (((code >> place) & 1) as u8) << (self.used % 8);
            }
            self.used += 1;
        }
    }
}

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut number = 0;
    while number < 256 {
        let mut value = number as u32;
        let mut bit = 0;
        while bit < 8 {
            let shifted = value >> 1;
            value = if value & 1 == 1 {
                shifted ^ 0xEDB8_8320
            } else {
                shifted
            };
            bit += 1;
        }
        table[number] = value;
        number += 1;
    }
    table
}

fn step(crc: u32, byte: u8) -> u32 {
    (crc >> 8) ^ TABLE[usize::from(crc as u8 ^ byte)]
}

/// The checksum of archives.
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| step(crc, *byte))
}

fn crc32_of_zeros(len: usize) -> u32 {
    !(0..len).fold(!0, |crc, _| step(crc, 0))
}
