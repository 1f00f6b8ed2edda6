//! Real iptables in network namespaces that are thrown away.

mod apply;
mod cli;
mod confirm;
mod cut;
mod doctor;
mod drift;
mod faults;
mod frames;
mod no_engine;
mod routes;
