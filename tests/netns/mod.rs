//! Real iptables in network namespaces that are thrown away.

mod apply;
mod cli;
mod doctor;
mod drift;
mod faults;
mod kill;
mod no_engine;
mod routes;
