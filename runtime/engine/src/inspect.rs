//! Decides by parsing alone whether this host can run some bytes.
//!
//! Only the outermost level of the component is read; nested modules are
//! stepped over and left to the compiler. Bounded by [`MAX_WASM_BYTES`] and
//! linear in the number of sections.

use node_types::Edition;
use wasmparser::{Chunk, ComponentExternalKind, ComponentTypeRef, Encoding, Parser, Payload};

/// The largest component accepted.
pub const MAX_WASM_BYTES: usize = 64 << 20;
/// Imports read before a component counts as hostile.
const MAX_IMPORTS: usize = 1000;

/// The interfaces of WASI 0.2 that a node provides (most of them as "no").
const WASI: [&str; 27] = [
    "cli/environment",
    "cli/exit",
    "cli/stderr",
    "cli/stdin",
    "cli/stdout",
    "cli/terminal-input",
    "cli/terminal-output",
    "cli/terminal-stderr",
    "cli/terminal-stdin",
    "cli/terminal-stdout",
    "clocks/monotonic-clock",
    "clocks/wall-clock",
    "filesystem/preopens",
    "filesystem/types",
    "io/error",
    "io/poll",
    "io/streams",
    "random/insecure",
    "random/insecure-seed",
    "random/random",
    "sockets/instance-network",
    "sockets/ip-name-lookup",
    "sockets/network",
    "sockets/tcp",
    "sockets/tcp-create-socket",
    "sockets/udp",
    "sockets/udp-create-socket",
];

/// What a component is, as far as parsing can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspection {
    /// The generation of the interface it imports, if it imports any.
    pub edition: Option<Edition>,
}

/// Why bytes are no process. The texts are for the person who installs them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// Empty.
    #[error("the file is empty")]
    Empty,
    /// Over the size limit.
    #[error("the component has {0} bytes; at most {MAX_WASM_BYTES} are allowed")]
    TooLarge(usize),
    /// No Wasm at all.
    #[error("this is not WebAssembly: it does not begin with the bytes \\0asm")]
    NotWasm,
    /// A core module.
    #[error(
        "this is a core module, not a component: convert it with `wasm-tools component new`, or build it with kit"
    )]
    CoreModule,
    /// It ends in the middle of something.
    #[error("the component is truncated at {0} bytes: upload it again")]
    Truncated(usize),
    /// It breaks the format.
    #[error("the component is malformed at byte {offset}: {message}")]
    Malformed {
        /// Where.
        offset: u64,
        /// How.
        message: String,
    },
    /// An edition that this host does not know.
    #[error("built for {0}, which this host does not know: build it for kinode:process@1.0.0")]
    UnsupportedEdition(String),
    /// Two editions at once.
    #[error("imports both {0} and {1}: build all of it for one version of the interface")]
    TwoEditions(String, String),
    /// An import nothing satisfies.
    #[error("imports {0}, which no node provides")]
    UnknownImport(String),
    /// No entry point.
    #[error("does not export the function `init`, by which a process starts")]
    NoInit,
}

/// What the outermost level of a component says.
#[derive(Default)]
struct Outline {
    /// The `standard` interface it imports, with its edition.
    standard: Option<(String, Edition)>,
    imports: usize,
    has_init: bool,
}

/// See [`crate::Engine::inspect`].
pub(crate) fn inspect(wasm: &[u8]) -> Result<Inspection, InspectError> {
    check_header(wasm)?;
    let outline = read_outline(wasm)?;
    if !outline.has_init {
        return Err(InspectError::NoInit);
    }
    Ok(Inspection {
        edition: outline.standard.map(|(_, edition)| edition),
    })
}

fn check_header(wasm: &[u8]) -> Result<(), InspectError> {
    if wasm.is_empty() {
        return Err(InspectError::Empty);
    }
    if wasm.len() > MAX_WASM_BYTES {
        return Err(InspectError::TooLarge(wasm.len()));
    }
    let magic = b"\0asm";
    if !wasm.starts_with(&magic[..wasm.len().min(magic.len())]) {
        return Err(InspectError::NotWasm);
    }
    Ok(())
}

fn read_outline(wasm: &[u8]) -> Result<Outline, InspectError> {
    let truncated = || InspectError::Truncated(wasm.len());
    let malformed = |error: wasmparser::BinaryReaderError| match error.message() {
        "unexpected end" | "unexpected end-of-file" => truncated(),
        message => InspectError::Malformed {
            offset: error.offset(),
            message: message.to_owned(),
        },
    };
    let mut outline = Outline::default();
    let mut parser = Parser::new(0);
    let mut rest = wasm;
    loop {
        let (payload, consumed) = match parser.parse(rest, true).map_err(malformed)? {
            Chunk::Parsed { consumed, payload } => (payload, consumed),
            Chunk::NeedMoreData(_) => return Err(truncated()),
        };
        rest = rest.get(consumed..).ok_or_else(truncated)?;
        match payload {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } => return Err(InspectError::CoreModule),
            Payload::ModuleSection {
                unchecked_range, ..
            }
            | Payload::ComponentSection {
                unchecked_range, ..
            } => {
                let length = usize::try_from(unchecked_range.end - unchecked_range.start)
                    .map_err(|_| truncated())?;
                // The parser already counts these bytes as read.
                rest = rest.get(length..).ok_or_else(truncated)?;
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import.map_err(malformed)?;
                    outline.import(import.name.name, import.ty)?;
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export.map_err(malformed)?;
                    outline.has_init |=
                        export.name.name == "init" && export.kind == ComponentExternalKind::Func;
                }
            }
            Payload::End(_) => return Ok(outline),
            _ => {}
        }
    }
}

impl Outline {
    fn import(&mut self, name: &str, ty: ComponentTypeRef) -> Result<(), InspectError> {
        self.imports += 1;
        if matches!(ty, ComponentTypeRef::Type(_)) && self.imports <= MAX_IMPORTS {
            return Ok(());
        }
        if self.imports > MAX_IMPORTS || !matches!(ty, ComponentTypeRef::Instance(_)) {
            return Err(InspectError::UnknownImport(shortened(name)));
        }
        if let Some(edition) = edition_of(name)? {
            return match &self.standard {
                Some((other, _)) if other != name => Err(InspectError::TwoEditions(
                    package_of(other),
                    package_of(name),
                )),
                _ => {
                    self.standard = Some((name.to_owned(), edition));
                    Ok(())
                }
            };
        }
        // What a node does not have of it traps when it is called.
        if name.starts_with("wasi:") {
            return Ok(());
        }
        Err(InspectError::UnknownImport(shortened(name)))
    }
}

/// The edition whose `standard` interface `name` is; `None` for other names.
pub(crate) fn edition_of(name: &str) -> Result<Option<Edition>, InspectError> {
    let (path, version) = match name.split_once('@') {
        Some((path, version)) => (path, Some(version)),
        None => (name, None),
    };
    let edition = match (path, version) {
        ("kinode:process/standard", None | Some("0.7.0")) => Edition::V0_7,
        ("kinode:process/standard", Some("0.8.0")) => Edition::V0_8,
        ("kinode:process/standard", Some("1.0.0")) => Edition::V1_0,
        ("hyperware:process/standard", Some("1.0.0")) => Edition::Hyperware,
        ("kinode:process/standard" | "hyperware:process/standard", _) => {
            return Err(InspectError::UnsupportedEdition(package_of(name)));
        }
        _ => return Ok(None),
    };
    Ok(Some(edition))
}

/// `kinode:process@0.8.0` for `kinode:process/standard@0.8.0`.
fn package_of(name: &str) -> String {
    shortened(&name.replacen("/standard", "", 1))
}

/// Whether `name` is an interface of WASI that no node provides.
pub(crate) fn is_unknown_wasi(name: &str) -> bool {
    name.strip_prefix("wasi:").is_some_and(|name| {
        let known =
            |(path, version): (&str, &str)| version.starts_with("0.2.") && WASI.contains(&path);
        !name.split_once('@').is_some_and(known)
    })
}

/// Names come from the component, so their length is bounded before they are
/// shown.
fn shortened(name: &str) -> String {
    name.chars().take(120).collect()
}
