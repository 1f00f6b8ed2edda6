//! Addresses that an inventory knows and the policy does not.

use super::{Files, shown};
use crate::facts::Facts;
use crate::policy::{Loaded, load_with};

const POLICY: &str = "network shop {
  bridge br-shop
  subnet 172.18.0.0/16
}
container web on shop { expose 80/tcp as 80 from any }
container db on shop { expose 5432/tcp }
link web -> db
";

const INVENTORY: &str = "
networks:
  shop: {driver: bridge, bridge: br-shop, subnets: [172.18.0.0/16]}
containers:
  web: {networks: {shop: [172.18.0.2]}}
  db: {networks: {shop: [172.18.0.3]}}
";

fn loaded(policy: &str, inventory: &str) -> Loaded {
    let inventory = Facts::read(inventory).unwrap();
    load_with(
        &Files::new(&[("p.tide", policy)]),
        "p.tide",
        Some(&inventory),
    )
}

#[test]
fn containers_get_their_addresses_from_it() {
    let loaded = loaded(POLICY, INVENTORY);
    let policy = loaded.policy().expect("no mistakes");
    let addresses: Vec<String> = policy
        .containers
        .iter()
        .flat_map(|container| &container.attachments)
        .flat_map(|at| &at.addresses)
        .map(ToString::to_string)
        .collect();
    assert_eq!(addresses, ["172.18.0.2", "172.18.0.3"]);
}

#[test]
fn a_container_that_it_does_not_know_is_an_error_and_opens_nothing() {
    let without = INVENTORY.replace("  db: {networks: {shop: [172.18.0.3]}}\n", "");
    insta::assert_snapshot!(shown(loaded(POLICY, &without)), @"
    warning[T0360]: `web` has the address that the inventory found
     --> p.tide:5:11
      |
    5 | container web on shop { expose 80/tcp as 80 from any }
      |           ^^^ has no `at`
      |
      = note: Docker may give another container that address when they start again, and with it what
              the policy opens for this one.
      = help: fix it with `at` and `docker run --ip`, or compile anew whenever containers start

    error[T0339]: the address of the container `db` is not known
     --> p.tide:7:13
      |
    6 | container db on shop { expose 5432/tcp }
      |           -- declared here without `at`
    7 | link web -> db
      |             ^^ a rule for this needs an address of `db`
      |
      = help: give it a fixed address of 172.18.0.0/16, as in `on shop at ADDRESS`, or compile with
              an `--inventory` that knows it
    ");
}

#[test]
fn an_inventory_of_other_networks_is_refused() {
    let other = INVENTORY
        .replace("subnets: [172.18.0.0/16]", "subnets: [172.19.0.0/16]")
        .replace("172.18.0.3", "172.19.0.3");
    insta::assert_snapshot!(shown(loaded(POLICY, &other)), @"
    error[T0357]: the network `shop` has the subnet 172.19.0.0/16, says the inventory
     --> p.tide:1:9
      |
    1 | network shop {
      |         ^^^^ the policy does not name it
      |
      = note: Its containers would have addresses that no rule knows.
      = help: add 172.19.0.0/16 to `subnet`, or make the inventory anew

    warning[T0360]: 2 containers have the addresses that the inventory found
     --> p.tide:5:11
      |
    5 | container web on shop { expose 80/tcp as 80 from any }
      |           ^^^ has no `at`
      |
      = note: Docker may give another container that address when they start again, and with it what
              the policy opens for this one.
      = help: fix it with `at` and `docker run --ip`, or compile anew whenever containers start

    error[T0357]: 172.19.0.3 of `db` is not in the network `shop`
     --> p.tide:6:11
      |
    1 | network shop {
      |         ---- the network
    ...
    6 | container db on shop { expose 5432/tcp }
      |           ^^ has no `at`, so that its address is the inventory's
      |
      = help: make the inventory anew: `tidegate inventory`
    ");
    let twice = INVENTORY.replace("172.18.0.3", "172.18.0.2");
    insta::assert_snapshot!(shown(loaded(POLICY, &twice)), @"
    warning[T0360]: 2 containers have the addresses that the inventory found
     --> p.tide:5:11
      |
    5 | container web on shop { expose 80/tcp as 80 from any }
      |           ^^^ has no `at`
      |
      = note: Docker may give another container that address when they start again, and with it what
              the policy opens for this one.
      = help: fix it with `at` and `docker run --ip`, or compile anew whenever containers start

    error[T0319]: 172.18.0.2 is given twice
     --> p.tide:6:11
      |
    5 | container web on shop { expose 80/tcp as 80 from any }
      |           --- the address of `web`
    6 | container db on shop { expose 5432/tcp }
      |           ^^ given again here
    ");
}

#[test]
fn a_network_past_the_hosts_tables_is_refused() {
    let macvlan = INVENTORY.replace("driver: bridge, bridge: br-shop", "driver: macvlan");
    let fixed = POLICY.replace("link web -> db\n", "");
    insta::assert_snapshot!(shown(loaded(&fixed, &macvlan)), @"
    error[T0349]: the network `shop` is of the driver macvlan, which nobody can filter
     --> p.tide:1:9
      |
    1 | network shop {
      |         ^^^^ no rule of this host would see its packets
      |
      = note: Containers of such a network are on the wire themselves, past the host's tables.
      = help: take it out of the policy, or make it a bridge network

    warning[T0358]: the inventory has no network with the bridge `br-shop`
     --> p.tide:1:9
      |
    1 | network shop {
      |         ^^^^ the bridge of `shop`
      |
      = note: Rules for it wait until the engine makes it.
    ");
}

#[test]
fn what_the_policy_fixes_counts_and_is_told() {
    let fixed = POLICY.replace("web on shop {", "web on shop at 172.18.0.9 {");
    let loaded = loaded(&fixed, INVENTORY);
    let addresses = &loaded.policy().unwrap().containers[0].attachments[0].addresses;
    assert_eq!(addresses[0].to_string(), "172.18.0.9");
    insta::assert_snapshot!(shown(loaded), @"
    warning[T0359]: the inventory has another address of `web`: 172.18.0.2
     --> p.tide:5:11
      |
    5 | container web on shop at 172.18.0.9 { expose 80/tcp as 80 from any }
      |           ^^^ rules are made for the `at` that is written here
      |
      = help: start the container with the address that the policy says

    warning[T0360]: `db` has the address that the inventory found
     --> p.tide:6:11
      |
    6 | container db on shop { expose 5432/tcp }
      |           ^^ has no `at`
      |
      = note: Docker may give another container that address when they start again, and with it what
              the policy opens for this one.
      = help: fix it with `at` and `docker run --ip`, or compile anew whenever containers start
    ");
    let renamed = INVENTORY.replace("bridge: br-shop", "bridge: br-0123456789ab");
    insta::assert_snapshot!(shown(super::inventory::loaded(POLICY, &renamed)), @"
    warning[T0358]: the inventory has no network with the bridge `br-shop`
     --> p.tide:1:9
      |
    1 | network shop {
      |         ^^^^ the bridge of `shop`
      |
      = help: the bridge of its `shop` is `br-0123456789ab`

    error[T0339]: the address of the container `web` is not known
     --> p.tide:7:6
      |
    5 | container web on shop { expose 80/tcp as 80 from any }
      |           --- declared here without `at`
    6 | container db on shop { expose 5432/tcp }
    7 | link web -> db
      |      ^^^ a rule for this needs an address of `web`
      |
      = help: give it a fixed address of 172.18.0.0/16, as in `on shop at ADDRESS`, or compile with
              an `--inventory` that knows it

    error[T0339]: the address of the container `db` is not known
     --> p.tide:7:13
      |
    6 | container db on shop { expose 5432/tcp }
      |           -- declared here without `at`
    7 | link web -> db
      |             ^^ a rule for this needs an address of `db`
      |
      = help: give it a fixed address of 172.18.0.0/16, as in `on shop at ADDRESS`, or compile with
              an `--inventory` that knows it
    ");
}
