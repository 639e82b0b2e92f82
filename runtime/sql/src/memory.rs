//! A bound on what SQLite allocates for one statement, and on how deep it
//! recurses.
//!
//! SQLite's own allocator is wrapped once per process; while a statement runs
//! its thread has a balance, and an allocation that would overdraw it fails
//! like one of a machine without memory: SQLite undoes that statement and
//! goes on. So does one made from too deep in the stack: long chains of views
//! are followed by recursion, which allocates at each step. And so does one
//! made when the statement must end: what SQLite does without asking the
//! meter, like reading a search of many words, allocates. Invariant: the
//! bounds of a thread are restored when [`within`] ends, also by a panic.
//! Other threads and other statements are not touched.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

use rusqlite::ffi;

/// The balance of a thread that may allocate without bound.
const UNBOUND: i64 = i64::MAX;

/// Allocations from one question to the next.
const ASK: u32 = 64;
/// Bytes of stack a statement may use: less than half of what a thread has,
/// since what was built by recursion is freed by it.
const STACK: usize = 768 << 10;

thread_local! {
    /// Bytes this thread may still allocate.
    static LEFT: Cell<i64> = const { Cell::new(UNBOUND) };
    /// The address below which its stack may not grow.
    static LOWEST: Cell<usize> = const { Cell::new(0) };
    /// Says whether its statement must end.
    static STOP: Cell<Option<&'static dyn Fn() -> bool>> = const { Cell::new(None) };
    /// Allocations since that was last asked.
    static UNASKED: Cell<u32> = const { Cell::new(0) };
}

/// SQLite's own allocator, complete in all its functions.
struct Plain {
    malloc: unsafe extern "C" fn(c_int) -> *mut c_void,
    free: unsafe extern "C" fn(*mut c_void),
    realloc: unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void,
    size: unsafe extern "C" fn(*mut c_void) -> c_int,
}

static PLAIN: OnceLock<Plain> = OnceLock::new();

/// Wraps SQLite's allocator. Must come before anything else of SQLite; calls
/// after the first answer like it.
///
/// # Errors
/// SQLite's code for why it could not.
pub(crate) fn install() -> Result<(), c_int> {
    static INSTALLED: OnceLock<Result<(), c_int>> = OnceLock::new();
    *INSTALLED.get_or_init(wrap)
}

fn wrap() -> Result<(), c_int> {
    let mut methods = ffi::sqlite3_mem_methods {
        xMalloc: None,
        xFree: None,
        xRealloc: None,
        xSize: None,
        xRoundup: None,
        xInit: None,
        xShutdown: None,
        pAppData: ptr::null_mut(),
    };
    // SAFETY: the option takes a pointer to such a struct and fills it in.
    check(unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_GETMALLOC, &raw mut methods) })?;
    let (Some(malloc), Some(free), Some(realloc), Some(size)) = (
        methods.xMalloc,
        methods.xFree,
        methods.xRealloc,
        methods.xSize,
    ) else {
        return Err(ffi::SQLITE_MISUSE);
    };
    let plain = Plain {
        malloc,
        free,
        realloc,
        size,
    };
    if PLAIN.set(plain).is_err() {
        return Err(ffi::SQLITE_MISUSE);
    }
    methods.xMalloc = Some(bounded_malloc);
    methods.xFree = Some(counted_free);
    methods.xRealloc = Some(bounded_realloc);
    // SAFETY: the option takes a pointer to such a struct and copies it. The
    // functions in it keep the contract of those they wrap.
    check(unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &raw const methods) })?;
    // SQLite's own statistics would take a lock common to all threads.
    // SAFETY: the option takes one integer.
    check(unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0 as c_int) })
}

fn check(code: c_int) -> Result<(), c_int> {
    if code == ffi::SQLITE_OK {
        Ok(())
    } else {
        Err(code)
    }
}

/// What a thread was bound by before.
struct Restore {
    left: i64,
    lowest: usize,
    stop: Option<&'static dyn Fn() -> bool>,
}

impl Drop for Restore {
    fn drop(&mut self) {
        LEFT.set(self.left);
        LOWEST.set(self.lowest);
        STOP.set(self.stop);
    }
}

/// Does `work` with at most `most` bytes more than SQLite has allocated on
/// this thread, and with none once `stop` says so; also says by how many bytes
/// that has grown. `stop` must not call SQLite.
pub(crate) fn within<T>(most: i64, stop: &dyn Fn() -> bool, work: impl FnOnce() -> T) -> (T, i64) {
    // SAFETY: the reference is used by this thread only, and not after
    // `restore` is dropped, which is before this function ends.
    let stop: &'static dyn Fn() -> bool = unsafe { std::mem::transmute(stop) };
    let restore = Restore {
        left: LEFT.replace(most),
        lowest: LOWEST.replace(stack_pointer().saturating_sub(STACK)),
        stop: STOP.replace(Some(stop)),
    };
    let result = work();
    let grown = most - LEFT.get();
    drop(restore);
    (result, grown)
}

/// Whether `bytes` more may be allocated here.
fn may_take(bytes: i64) -> bool {
    let left = LEFT.get();
    left == UNBOUND || (bytes <= left && stack_pointer() >= LOWEST.get() && !must_stop())
}

/// Asks now and then whether the statement must end.
fn must_stop() -> bool {
    let unasked = UNASKED.get() + 1;
    UNASKED.set(unasked % ASK);
    unasked >= ASK && STOP.get().is_some_and(|stop| stop())
}

/// About where the stack of this thread ends now.
#[inline(always)]
fn stack_pointer() -> usize {
    let here = 0_u8;
    (&raw const here).addr()
}

/// Counts a change of what is allocated.
fn take(bytes: i64) {
    let left = LEFT.get();
    if left != UNBOUND {
        LEFT.set(left.saturating_sub(bytes).min(UNBOUND - 1));
    }
}

// The size that an allocation has is asked for only where it is counted.
fn counts() -> bool {
    LEFT.get() != UNBOUND
}

/// # Safety
/// As SQLite calls an allocator: `bytes` is positive.
unsafe extern "C" fn bounded_malloc(bytes: c_int) -> *mut c_void {
    let Some(plain) = PLAIN.get() else {
        return ptr::null_mut();
    };
    if !may_take(bytes.into()) {
        return ptr::null_mut();
    }
    // SAFETY: handed on as it came.
    let given = unsafe { (plain.malloc)(bytes) };
    if counts() && !given.is_null() {
        // SAFETY: it was allocated just now.
        take(unsafe { (plain.size)(given) }.into());
    }
    given
}

/// # Safety
/// As SQLite calls an allocator: `given` came from it and is not used again.
unsafe extern "C" fn counted_free(given: *mut c_void) {
    let Some(plain) = PLAIN.get() else {
        return;
    };
    if counts() && !given.is_null() {
        // SAFETY: it is still allocated.
        take(-i64::from(unsafe { (plain.size)(given) }));
    }
    // SAFETY: handed on as it came.
    unsafe { (plain.free)(given) }
}

/// # Safety
/// As SQLite calls an allocator: `given` came from it, `bytes` is positive.
unsafe extern "C" fn bounded_realloc(given: *mut c_void, bytes: c_int) -> *mut c_void {
    let Some(plain) = PLAIN.get() else {
        return ptr::null_mut();
    };
    if !counts() {
        // SAFETY: handed on as it came.
        return unsafe { (plain.realloc)(given, bytes) };
    }
    // SAFETY: it is still allocated.
    let before = i64::from(unsafe { (plain.size)(given) });
    if !may_take(i64::from(bytes) - before) {
        return ptr::null_mut();
    }
    // SAFETY: handed on as it came.
    let moved = unsafe { (plain.realloc)(given, bytes) };
    if !moved.is_null() {
        // SAFETY: it was allocated just now.
        take(i64::from(unsafe { (plain.size)(moved) }) - before);
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Allocates through SQLite and frees, if it could.
    fn allocates(bytes: u64) -> bool {
        // SAFETY: plain calls of an allocator; what it gives is freed once.
        unsafe {
            let given = ffi::sqlite3_malloc64(bytes);
            ffi::sqlite3_free(given);
            !given.is_null()
        }
    }

    fn never() -> bool {
        false
    }

    #[test]
    fn nothing_is_allocated_for_a_statement_that_must_end() {
        install().unwrap();
        let allocated = |stop: &dyn Fn() -> bool| {
            let all = || (0..1000).filter(|_| allocates(16)).count();
            within(1 << 20, stop, all).0
        };
        assert_eq!(allocated(&never), 1000);
        assert!(allocated(&|| true) < 1000);
    }

    #[test]
    fn nothing_is_allocated_deep_in_the_stack() {
        fn deep(levels: usize) -> bool {
            let frame = std::hint::black_box([0_u8; 4096]);
            let below = if levels > 0 {
                deep(levels - 1)
            } else {
                allocates(16)
            };
            std::hint::black_box(frame)[0] == 0 && below
        }
        install().unwrap();
        let measured = std::thread::Builder::new().stack_size(16 << 20).spawn(|| {
            let (shallow, _) = within(1 << 20, &never, || deep(10));
            let (too_deep, _) = within(1 << 20, &never, || deep(300));
            (shallow, too_deep, deep(300))
        });
        assert_eq!(measured.unwrap().join().unwrap(), (true, false, true));
    }

    #[test]
    fn a_thread_allocates_within_its_bound_and_without_one_afterwards() {
        install().unwrap();
        let (inside, grown) = within(1 << 20, &never, || (allocates(1 << 19), allocates(1 << 21)));
        assert_eq!((inside, grown), ((true, false), 0));
        assert!(allocates(1 << 21));
        // SAFETY: as above; the memory is freed below, outside the bound.
        let (kept, grown) = within(
            1 << 20,
            &never,
            || unsafe { ffi::sqlite3_malloc64(1 << 18) } as usize,
        );
        assert!(grown >= 1 << 18, "{grown}");
        let ((), back) = within(0, &never, || unsafe {
            ffi::sqlite3_free(kept as *mut c_void)
        });
        assert_eq!(back, -grown);
    }

    #[test]
    fn the_bound_is_of_one_thread() {
        install().unwrap();
        let (elsewhere, _) = within(0, &never, || {
            assert!(!allocates(4096));
            std::thread::spawn(|| allocates(1 << 21)).join().unwrap()
        });
        assert!(elsewhere);
    }
}
