//! Real iptables in network namespaces that are thrown away.

mod apply;
mod boot;
mod cli;
mod closed;
mod confirm;
mod cut;
mod doctor;
mod drift;
mod faults;
mod foreign;
mod forget;
mod frames;
mod no_engine;
mod routes;
mod session;
