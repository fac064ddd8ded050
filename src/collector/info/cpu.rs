//! Rows for the CPU section of INFO.

use super::row::counter;
use crate::metric::Family;
use crate::metric::Unit::Seconds;

#[rustfmt::skip] // One metric, one line.
pub(super) static ROWS: &[Family<0>] = &[
    counter("used_cpu_sys", Seconds, "redis_cpu_sys_seconds_total", "CPU time of all threads of the server in the kernel."),
    counter("used_cpu_user", Seconds, "redis_cpu_user_seconds_total", "CPU time of all threads of the server in user space."),
    counter("used_cpu_sys_children", Seconds, "redis_cpu_sys_children_seconds_total", "CPU time of child processes in the kernel."),
    counter("used_cpu_user_children", Seconds, "redis_cpu_user_children_seconds_total", "CPU time of child processes in user space."),
    counter("used_cpu_sys_main_thread", Seconds, "redis_cpu_sys_main_thread_seconds_total", "CPU time of the main thread in the kernel."),
    counter("used_cpu_user_main_thread", Seconds, "redis_cpu_user_main_thread_seconds_total", "CPU time of the main thread in user space."),
    counter("used_active_time_main_thread", Seconds, "redis_active_time_main_thread_seconds_total", "Time during which the main thread was active, in seconds."),
];
