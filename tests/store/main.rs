//! The store from outside: what it keeps, in which order, and what remains after damage, full disks and sudden ends.

#![cfg(test)]

mod conformance;
mod damage;
mod faulty;
mod group_commit;
mod records;
mod sudden_end;
