//! Policies for several hosts.

use super::{load_text, said};

const PAIR: &str = "host alpha { route 172.19.0.0/16 via 192.0.2.2 }
host beta { route 172.18.0.0/16 via 192.0.2.1 dev eth1 }
network shop on alpha {
  bridge docker0
  subnet 172.18.0.0/16
}
network stock on beta {
  bridge docker0
  subnet 172.19.0.0/16
}
container web on shop at 172.18.0.10 { expose 80/tcp as 80 from any }
container db on stock at 172.19.0.10 { expose 80/tcp as 80 from any }
link web -> db
";

/// Each host has a copy of all of it, so many of both are told before any is made.
#[test]
fn hosts_that_would_know_too_much_are_refused_at_once() {
    let of = |count: usize| -> String {
        let one = |id: usize| {
            let (high, low) = (id / 256, id % 256);
            format!(
                "host h{id} {{ }}\nnetwork n{id} on h{id} {{\n  bridge br-{id}\n  \
                 subnet 10.{high}.{low}.0/24\n}}\n"
            )
        };
        (0..count).map(one).collect()
    };
    let many = load_text(&of(1_001));
    assert!(many.policies.is_empty());
    let found = many.diagnostics.into_sorted();
    let errors: Vec<_> = found.iter().filter(|it| it.code.0 == "T0403").collect();
    assert_eq!(errors.len(), 1, "{found:#?}");
    assert!(errors[0].message.contains("1001 hosts"), "{errors:#?}");
    assert_eq!(load_text(&of(100)).policies.len(), 100);
}

#[test]
fn each_host_has_its_own_bridges_ports_and_policy() {
    let loaded = load_text(PAIR);
    assert!(loaded.diagnostics.into_sorted().is_empty());
    let names: Vec<_> = loaded
        .policies
        .iter()
        .map(|policy| policy.host.name.clone())
        .collect();
    assert_eq!(names, [Some("alpha".to_owned()), Some("beta".to_owned())]);
    for (policy, at) in loaded.policies.iter().zip(0..) {
        let local: Vec<bool> = policy
            .networks
            .iter()
            .map(|network| network.local)
            .collect();
        assert_eq!(local, [at == 0, at == 1]);
        assert_eq!(policy.host.routes.len(), 1);
    }
}

#[test]
fn a_published_port_tells_nobody_of_another_host() {
    let text = PAIR.replacen("from any", "from db, any", 1);
    insta::assert_snapshot!(said(&text), @"
    warning[T0367]: a published port cannot know `db`, which is on another host
      --> p.tide:11:40
       |
    11 | container web on shop at 172.18.0.10 { expose 80/tcp as 80 from db, any }
       |                                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ nothing that comes here is from `db`
       |
       = note: A connection to another host leaves with the address of its own host, not the
               container's.
       = help: write `link db -> web`, or an `allow` to the container
    ");
    let own = PAIR.replacen("from any", "from shop", 1);
    assert_eq!(said(&own), "");
}

#[test]
fn networks_say_on_which_host_they_are() {
    insta::assert_snapshot!(said("
host alpha { forward drop }
host beta { forward drop }
host { forward drop }
network shop {
  bridge br-shop
  subnet 172.18.0.0/16
}
network stock on betta {
  bridge br-stock
  subnet 172.19.0.0/16
}
network store on beta {
  bridge br-store
  subnet 172.18.4.0/24
}
container both on stock on store {}
"), @"
    error[T0344]: a host has no name
     --> p.tide:4:1
      |
    4 | host { forward drop }
      | ^^^^^^^^^^^^^^^^^^^^ which one?
      |
      = note: A policy with several hosts tells by their names which network is where.
      = help: write its name before the brace, as in `host alpha {`

    error[T0345]: nothing says on which host the network `shop` is
     --> p.tide:5:9
      |
    5 | network shop {
      |         ^^^^ `on` and a host are missing
      |
      = help: write `network shop on alpha {` if it is on alpha

    error[T0201]: there is no host `betta`
     --> p.tide:9:18
      |
    9 | network stock on betta {
      |                  ^^^^^ no `host` block has this name
      |
    help: did you mean `beta`?
      |
    9 - network stock on betta {
    9 + network stock on beta {
      |

    error[T0313]: the subnets 172.18.0.0/16 and 172.18.4.0/24 overlap
      --> p.tide:15:10
       |
     7 |   subnet 172.18.0.0/16
       |          ------------- a subnet of `shop`
    ...
    15 |   subnet 172.18.4.0/24
       |          ^^^^^^^^^^^^^ a subnet of `store`
       |
       = note: An address in both would belong to two networks, and rules could not tell which.
    ");
}

#[test]
fn a_host_without_a_name_is_not_found() {
    insta::assert_snapshot!(said("
network shop on alpha {
  bridge br-shop
  subnet 172.18.0.0/16
}
"), @"
    error[T0201]: there is no host `alpha`
     --> p.tide:2:17
      |
    2 | network shop on alpha {
      |                 ^^^^^ no `host` block has this name
      |
      = help: give the host its name: `host alpha { … }`
    ");
}

#[test]
fn routes_that_cannot_be() {
    insta::assert_snapshot!(said("
host alpha {
  uplink eth0
  route 0.0.0.0/0 via 192.0.2.1
  route 10.0.0.0/8 via fd00::1
  route 10.1.0.0/16 via 10.1.0.1
  route 10.2.0.0/16 via 192.0.2.1
  route 10.2.0.0/16 via 192.0.2.2
  route 172.18.4.0/24 via 192.0.2.1
  route 10.3.0.1/16 via 192.0.2.300 dev et/h
  sysctl \"net.ipv4.conf.eth0.rp_filter\" = 1
}
network shop on alpha {
  bridge br-shop
  subnet 172.18.0.0/16
}
"), @r#"
    error[T0347]: a policy cannot set the default route
     --> p.tide:4:9
      |
    4 |   route 0.0.0.0/0 via 192.0.2.1
      |         ^^^^^^^^^ leads everything to another host
      |
      = help: name the subnets of the other host's networks

    error[T0347]: a route and its next hop are of one family
     --> p.tide:5:24
      |
    5 |   route 10.0.0.0/8 via fd00::1
      |         ----------     ^^^^^^^ an address of the other family
      |         |
      |         of this family

    error[T0347]: a route cannot lead to its own next hop
     --> p.tide:6:9
      |
    6 |   route 10.1.0.0/16 via 10.1.0.1
      |         ^^^^^^^^^^^     -------- the next hop
      |         |
      |         the next hop is inside it

    error[T0347]: there are two routes to 10.2.0.0/16
     --> p.tide:8:3
      |
    7 |   route 10.2.0.0/16 via 192.0.2.1
      |   ------------------------------- first routed here
    8 |   route 10.2.0.0/16 via 192.0.2.2
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ routed again here

    error[T0347]: the route leads away from the network `shop`
      --> p.tide:9:3
       |
     9 |   route 172.18.4.0/24 via 192.0.2.1
       |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ 172.18.4.0/24 is on this host
    ...
    13 | network shop on alpha {
       |         ---- here
       |
       = help: a route is for the networks of other hosts

    error[T0110]: expected end of line, found `/`
      --> p.tide:10:43
       |
    10 |   route 10.3.0.1/16 via 192.0.2.300 dev et/h
       |                                           ^ expected end of line
       |
       = note: The form is `route PREFIX via ADDRESS [dev INTERFACE]`.

    error[T0333]: `net.ipv4.conf.eth0.rp_filter` follows from the policy
      --> p.tide:11:3
       |
    11 |   sysctl "net.ipv4.conf.eth0.rp_filter" = 1
       |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ tidegate writes this key itself
       |
       = help: leave it out: it follows from the routes
    "#);
}

#[test]
fn a_host_without_a_way_to_the_other() {
    insta::assert_snapshot!(said("
host alpha { route 172.16.0.0/12 via 192.0.2.2 }
host beta { forward drop }
network shop on alpha {
  bridge br-shop
  subnet 172.18.0.0/16, fd00:18::/64
}
network stock on beta {
  bridge br-stock
  subnet 172.19.0.0/16
}
container web on shop at 172.18.0.10 {}
container db on stock at 172.19.0.10 { expose 5432/tcp from shop }
"), @"
    warning[T0356]: `beta` has no route to 172.18.0.0/16
      --> p.tide:3:6
       |
     3 | host beta { forward drop }
       |      ^^^^ packets would leave by its default route
    ...
    13 | container db on stock at 172.19.0.10 { expose 5432/tcp from shop }
       |                                        ------------------------- needed here
       |
       = help: add `route 172.18.0.0/16 via ADDRESS`, with the other host's address, unless a router
               knows the way
    ");
}
