//! The calls into libpam.
//!
//! libpam is opened when it is needed instead of linked: a machine without it can still build
//! and run everything else. This is the one file of this crate with unsafe code. Each block says
//! why it is sound; the facts about libpam are those of its manual pages pam_start(3),
//! pam_conv(3), pam_authenticate(3), pam_acct_mgmt(3) and pam_end(3).
#![allow(unsafe_code, reason = "libpam is C, and is opened at run time")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use super::PamError;

const PAM_SUCCESS: c_int = 0;
const PAM_BUF_ERR: c_int = 5;
const PAM_CONV_ERR: c_int = 19;
const PAM_PROMPT_ECHO_OFF: c_int = 1;
const PAM_PROMPT_ECHO_ON: c_int = 2;
const PAM_ERROR_MSG: c_int = 3;
const PAM_TEXT_INFO: c_int = 4;
const PAM_SILENT: c_int = 0x8000;
const PAM_DISALLOW_NULL_AUTHTOK: c_int = 1;
/// Results that are about the user and not about the machine: an expired or locked account, a wrong
/// or missing password, an unknown user, too many tries.
const REFUSALS: [c_int; 10] = [6, 7, 8, 10, 11, 12, 13, 16, 17, 27];
const MOST_MESSAGES: c_int = 32;

/// `struct pam_message`.
#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

/// `struct pam_response`.
#[repr(C)]
struct Response {
    text: *mut c_char,
    retcode: c_int,
}

type Converse = extern "C" fn(
    count: c_int,
    messages: *mut *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int;

/// `struct pam_conv`.
#[repr(C)]
struct Conversation {
    converse: Converse,
    data: *mut c_void,
}

type Handle = *mut c_void;
type Start =
    unsafe extern "C" fn(*const c_char, *const c_char, *const Conversation, *mut Handle) -> c_int;
type Act = unsafe extern "C" fn(Handle, c_int) -> c_int;

/// The functions of libpam that are used.
struct Library {
    start: Start,
    authenticate: Act,
    account: Act,
    end: Act,
}

/// Searches all loaded libraries and not only libpam, so that a replacement for libpam
/// (pam_wrapper, in tests) is found first.
fn symbol(name: &CStr) -> Result<*mut c_void, PamError> {
    // SAFETY: `name` ends with a NUL; what is found stays loaded until the process ends.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    if address.is_null() {
        return Err(PamError(format!(
            "libpam has no {}",
            name.to_string_lossy()
        )));
    }
    Ok(address)
}

impl Library {
    fn open() -> Result<Self, PamError> {
        // SAFETY: the name ends with a NUL. The library's initialisers run here, in a process
        // that has one thread. It stays open until the process ends.
        let library =
            unsafe { libc::dlopen(c"libpam.so.0".as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
        if library.is_null() {
            return Err(PamError("libpam.so.0 is not installed".to_owned()));
        }
        let start = symbol(c"pam_start")?;
        let authenticate = symbol(c"pam_authenticate")?;
        let account = symbol(c"pam_acct_mgmt")?;
        let end = symbol(c"pam_end")?;
        // SAFETY: the addresses are those of the functions with these names, whose C prototypes
        // the types above repeat; function pointers and data pointers have one size here.
        unsafe {
            Ok(Self {
                start: std::mem::transmute::<*mut c_void, Start>(start),
                authenticate: std::mem::transmute::<*mut c_void, Act>(authenticate),
                account: std::mem::transmute::<*mut c_void, Act>(account),
                end: std::mem::transmute::<*mut c_void, Act>(end),
            })
        }
    }
}

/// Answers each hidden prompt with the password and each other prompt with the user's name. Modules
/// that ask for anything else get a wrong answer, never a hang.
struct Answers {
    user: CString,
    password: CString,
}

extern "C" fn converse(
    count: c_int,
    messages: *mut *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    if !(1..=MOST_MESSAGES).contains(&count) || messages.is_null() || responses.is_null() {
        return PAM_CONV_ERR;
    }
    let count = count as usize;
    // SAFETY: `data` is the pointer given to pam_start, to an `Answers` that outlives the PAM
    // session (see `authenticate`).
    let answers = unsafe { &*data.cast::<Answers>() };
    // SAFETY: zeroed memory for `count` responses is a valid array of them. libpam frees it, and
    // the texts in it, with free(3), so it must come from calloc(3) and strdup(3).
    let array = unsafe { libc::calloc(count, size_of::<Response>()).cast::<Response>() };
    if array.is_null() {
        return PAM_BUF_ERR;
    }
    for index in 0..count {
        // SAFETY: Linux-PAM passes an array of `count` pointers to messages.
        let style = unsafe { (**messages.add(index)).style };
        let text = match style {
            PAM_PROMPT_ECHO_OFF => answers.password.as_ptr(),
            PAM_PROMPT_ECHO_ON => answers.user.as_ptr(),
            PAM_ERROR_MSG | PAM_TEXT_INFO => continue,
            _ => c"".as_ptr(),
        };
        // SAFETY: `index` is below `count`; `text` ends with a NUL.
        unsafe { (*array.add(index)).text = libc::strdup(text) };
    }
    // SAFETY: `responses` is where libpam wants the array's address.
    unsafe { *responses = array };
    PAM_SUCCESS
}

/// Asks PAM whether the password is right and whether the account may be used.
pub(super) fn authenticate(service: &str, user: &[u8], password: &[u8]) -> Result<bool, PamError> {
    let text = |bytes: &[u8]| {
        CString::new(bytes).map_err(|_| PamError("a NUL byte in the question".to_owned()))
    };
    let service = text(service.as_bytes())?;
    let library = Library::open()?;
    // Boxed and freed only after pam_end: libpam keeps the address.
    let answers = Box::new(Answers {
        user: text(user)?,
        password: text(password)?,
    });
    let data: *const Answers = &*answers;
    let conversation = Conversation {
        converse,
        data: data.cast_mut().cast(),
    };
    let mut handle: Handle = ptr::null_mut();
    // SAFETY: all texts end with a NUL and live until after pam_end, as does the conversation;
    // `handle` is where pam_start writes its handle.
    let started = unsafe {
        (library.start)(
            service.as_ptr(),
            answers.user.as_ptr(),
            &conversation,
            &mut handle,
        )
    };
    if started != PAM_SUCCESS || handle.is_null() {
        return Err(PamError(format!("pam_start failed with {started}")));
    }
    let flags = PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK;
    // SAFETY: `handle` is a session that pam_start began and pam_end has not ended.
    let mut result = unsafe { (library.authenticate)(handle, flags) };
    if result == PAM_SUCCESS {
        // SAFETY: as above.
        result = unsafe { (library.account)(handle, flags) };
    }
    // SAFETY: as above; the handle is not used after this.
    unsafe { (library.end)(handle, result) };
    drop(answers);
    match result {
        PAM_SUCCESS => Ok(true),
        refusal if REFUSALS.contains(&refusal) => Ok(false),
        other => Err(PamError(format!("PAM failed with {other}"))),
    }
}
