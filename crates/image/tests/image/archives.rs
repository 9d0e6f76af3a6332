//! A writer of archives that writes what it is told, right or wrong.

use std::io::Write as _;

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

/// One entry. Every field can be made to lie.
#[derive(Clone)]
pub(crate) struct Raw {
    pub(crate) name: Vec<u8>,
    pub(crate) packed: Vec<u8>,
    pub(crate) central: Header,
    pub(crate) local: Header,
    /// High byte: the system.
    pub(crate) made_by: u16,
    pub(crate) external: u32,
    pub(crate) central_extra: Vec<u8>,
    pub(crate) local_extra: Vec<u8>,
    pub(crate) local_name: Vec<u8>,
    pub(crate) descriptor: Vec<u8>,
    pub(crate) disk: u16,
    /// In the central directory, instead of where it is.
    pub(crate) offset: Option<u32>,
}

/// What both headers say.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc: u32,
    pub(crate) packed: u32,
    pub(crate) size: u32,
}

pub(crate) const UNIX: u16 = 3 << 8 | 20;

impl Raw {
    pub(crate) fn deflated(name: &str, content: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        Self::packed(name, 8, encoder.finish().unwrap(), content)
    }

    pub(crate) fn stored(name: &str, content: &[u8]) -> Self {
        Self::packed(name, 0, content.to_vec(), content)
    }

    pub(crate) fn link(name: &str, target: &str) -> Self {
        Self::stored(name, target.as_bytes()).mode(0o120_777)
    }

    pub(crate) fn folder(name: &str) -> Self {
        Self::stored(name, b"").mode(0o040_755)
    }

    fn packed(name: &str, method: u16, packed: Vec<u8>, content: &[u8]) -> Self {
        let mut crc = Crc::new();
        crc.update(content);
        let header = Header {
            flags: 0,
            method,
            crc: crc.sum(),
            packed: packed.len().try_into().unwrap(),
            size: content.len().try_into().unwrap(),
        };
        Self {
            name: name.into(),
            packed,
            central: header,
            local: header,
            made_by: UNIX,
            external: 0o100_644 << 16,
            central_extra: Vec::new(),
            local_extra: Vec::new(),
            local_name: name.into(),
            descriptor: Vec::new(),
            disk: 0,
            offset: None,
        }
    }

    pub(crate) fn mode(self, mode: u32) -> Self {
        Self { external: mode << 16, ..self }
    }

    /// Changes this entry.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The same lie in both headers.
    pub(crate) fn both(self, change: impl Fn(&mut Header)) -> Self {
        self.with(|raw| {
            change(&mut raw.central);
            change(&mut raw.local);
        })
    }

    /// As written to a stream: checksum and sizes follow the content.
    pub(crate) fn streamed(self, signed: bool) -> Self {
        self.both(|header| header.flags |= 1 << 3).with(|raw| {
            raw.local = Header { crc: 0, packed: 0, size: 0, ..raw.local };
            raw.descriptor = if signed { b"PK\x07\x08".to_vec() } else { Vec::new() };
            for field in [raw.central.crc, raw.central.packed, raw.central.size] {
                raw.descriptor.extend(field.to_le_bytes());
            }
        })
    }
}

impl Header {
    fn write(&self, out: &mut Vec<u8>, names: &[&[u8]]) {
        out.extend(self.flags.to_le_bytes());
        out.extend(self.method.to_le_bytes());
        // 2024-01-02 03:04:06
        out.extend((3_u16 << 11 | 4 << 5 | 3).to_le_bytes());
        out.extend((44_u16 << 9 | 1 << 5 | 2).to_le_bytes());
        for field in [self.crc, self.packed, self.size] {
            out.extend(field.to_le_bytes());
        }
        for name in names {
            out.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        }
    }
}

/// An archive in parts, each of which can be changed before it is put together.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) entries: Vec<u8>,
    pub(crate) directory: Vec<u8>,
    pub(crate) count: u16,
    /// Between the directory and the end record: zip64's records.
    pub(crate) zip64: Vec<u8>,
    /// Disk, disk of the directory.
    pub(crate) disks: [u16; 2],
    pub(crate) comment: Vec<u8>,
}

pub(crate) fn parts(raws: &[Raw]) -> Parts {
    let (mut entries, mut directory) = (Vec::new(), Vec::new());
    for raw in raws {
        let offset = raw.offset.unwrap_or_else(|| entries.len().try_into().unwrap());
        entries.extend(b"PK\x03\x04\x14\x00");
        raw.local.write(&mut entries, &[&raw.local_name, &raw.local_extra]);
        for part in [&raw.local_name, &raw.local_extra, &raw.packed, &raw.descriptor] {
            entries.extend(part);
        }
        directory.extend(b"PK\x01\x02");
        directory.extend(raw.made_by.to_le_bytes());
        directory.extend(20_u16.to_le_bytes());
        raw.central.write(&mut directory, &[&raw.name, &raw.central_extra, b""]);
        directory.extend(raw.disk.to_le_bytes());
        directory.extend(0_u16.to_le_bytes());
        directory.extend(raw.external.to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(&raw.name);
        directory.extend(&raw.central_extra);
    }
    let count = u16::try_from(raws.len()).unwrap_or(u16::MAX);
    Parts { entries, directory, count, zip64: Vec::new(), disks: [0; 2], comment: Vec::new() }
}

impl Parts {
    pub(crate) fn join(&self) -> Vec<u8> {
        let mut zip = [&self.entries[..], &self.directory, &self.zip64, b"PK\x05\x06"].concat();
        for field in [self.disks[0], self.disks[1], self.count, self.count] {
            zip.extend(field.to_le_bytes());
        }
        for length in [self.directory.len(), self.entries.len()] {
            zip.extend(u32::try_from(length).unwrap().to_le_bytes());
        }
        zip.extend(u16::try_from(self.comment.len()).unwrap().to_le_bytes());
        zip.extend(&self.comment);
        zip
    }

    /// Adds zip64's records, with this count of entries.
    pub(crate) fn zip64(mut self, count: u64) -> Self {
        let mut out = b"PK\x06\x06".to_vec();
        out.extend(44_u64.to_le_bytes());
        out.extend([45, 3, 45, 0]);
        out.extend([0; 8]);
        let end = self.entries.len() + self.directory.len();
        for field in [count, count, self.directory.len() as u64, self.entries.len() as u64] {
            out.extend(field.to_le_bytes());
        }
        out.extend(b"PK\x06\x07\0\0\0\0");
        out.extend((end as u64).to_le_bytes());
        out.extend(1_u32.to_le_bytes());
        self.zip64 = out;
        self
    }
}

/// An archive of these entries.
pub(crate) fn archive(raws: &[Raw]) -> Vec<u8> {
    parts(raws).join()
}
