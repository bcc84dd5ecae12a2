//! Where a helper wakes up. A system in a virtual machine takes a processor that has halted for one that is not to be had,
//! and puts a thread that wakes up behind the one that woke it, on the same processor: it then starts 1.7 to 3 ms late
//! (Linux 6.18, KVM), which is longer than a short text takes. So a sleeper is told to wake up elsewhere. Other systems
//! know best.
#![allow(unsafe_code, reason = "calls of the system")]

pub(super) use system::{not_here, this_thread};

#[cfg(target_os = "linux")]
mod system {
    /// The processors of this process without the one that runs this thread, if there are others.
    pub(in super::super) struct Elsewhere(Option<libc::cpu_set_t>);

    pub(in super::super) fn not_here() -> Elsewhere {
        // SAFETY: a set of processors is plain bits; the calls write no more than its size and read nothing else.
        unsafe {
            let mut set = std::mem::zeroed::<libc::cpu_set_t>();
            let here = libc::sched_getcpu();
            if here < 0 || libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) != 0 {
                return Elsewhere(None);
            }
            libc::CPU_CLR(here as usize, &mut set);
            Elsewhere((libc::CPU_COUNT(&set) > 0).then_some(set))
        }
    }

    impl Elsewhere {
        /// Lets a thread of this process run there. Where that is forbidden it wakes up wherever it does.
        pub(in super::super) fn send(&self, thread: i32) {
            if let Some(set) = self.0.filter(|_| thread > 0) {
                // SAFETY: the call reads the set, which lives.
                unsafe { libc::sched_setaffinity(thread, size_of::<libc::cpu_set_t>(), &raw const set) };
            }
        }
    }

    pub(in super::super) fn this_thread() -> i32 {
        // SAFETY: it has no conditions.
        unsafe { libc::gettid() }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(in super::super) struct Elsewhere;

    pub(in super::super) fn not_here() -> Elsewhere {
        Elsewhere
    }

    impl Elsewhere {
        pub(in super::super) fn send(&self, _thread: i32) {}
    }

    pub(in super::super) fn this_thread() -> i32 {
        0
    }
}
