//! `import` and `check --compose`, as a user runs them.

use super::Desk;
use crate::support::files::repository;

const COMPOSE: &str = "services: {web: {image: 'web:${TAG?which}', ports: ['${PORT}:80']}}\n";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_first_policy_compiles_and_agrees_with_its_files() {
    let desk = Desk::new();
    desk.write("shop/compose.yaml", COMPOSE);
    desk.write("shop/.env", "TAG=1\nPORT=8080\n");
    let arguments = ["import", "shop/compose.yaml", "-o", "shop/first.tide"];
    let imported = desk.run(&arguments);
    assert!(imported.status.success(), "{imported:?}");
    let policy = std::fs::read_to_string(desk.path("shop/first.tide")).unwrap();
    assert!(
        policy.contains("container shop-web-1 on default {\n  expose 80/tcp as 8080"),
        "{policy}"
    );
    let laid_out = desk.run(&["fmt", "--check", "shop/first.tide"]);
    assert!(laid_out.status.success(), "{laid_out:?}");
    // Nothing that somebody may have edited is written over.
    assert_eq!(desk.run(&arguments).status.code(), Some(2));

    let compose = ["--compose", "shop/compose.yaml"];
    let check = ["check", "shop/first.tide"].into_iter().chain(compose);
    let checked = desk.run(&check.clone().collect::<Vec<_>>());
    assert!(checked.status.success(), "{checked:?}");
    assert_eq!(
        text(&checked.stderr).matches("T0363").count(),
        2,
        "{checked:?}"
    );

    desk.write("shop/.env", "TAG=1\nPORT=8081\n");
    let checked = desk.run(&check.clone().collect::<Vec<_>>());
    assert_eq!(
        text(&checked.stderr).matches("T0362").count(),
        2,
        "{checked:?}"
    );
    let json = check.chain(["--format", "json"]);
    let checked = desk.run(&json.collect::<Vec<_>>());
    assert_eq!(
        text(&checked.stdout).matches("T0362").count(),
        2,
        "{checked:?}"
    );
}

#[test]
fn mistakes_in_compose_files_name_their_place() {
    let desk = Desk::new();
    desk.write("compose.yaml", COMPOSE);
    let refused = desk.run(&["import", "compose.yaml"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(
        said.contains("compose.yaml: services.web.image: `TAG` must be set: which"),
        "{said}"
    );
    desk.write("none.yaml", "services: {web: {network_mode: host}}\n");
    let refused = desk.run(&["import", "none.yaml"]);
    assert!(
        text(&refused.stderr).contains("no network that a policy could govern"),
        "{refused:?}"
    );
}

#[test]
fn an_inventory_is_read_by_a_relative_path() {
    let desk = Desk::with_policy();
    desk.write(
        "inventory.yaml",
        "networks: {shop: {driver: bridge, bridge: br-shop, subnets: [172.18.0.0/24]}}\n",
    );
    let checked = desk.run(&["check", "shop.tide", "--inventory", "inventory.yaml"]);
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn the_example_agrees_with_its_compose_file() {
    let folder = repository().join("examples/07-compose");
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let desk = Desk::new();
    let (policy, compose) = (path("shop.tide"), path("compose.yaml"));
    let checked = desk.run(&["check", policy.as_str(), "--compose", compose.as_str()]);
    assert!(
        checked.status.success() && checked.stderr.is_empty(),
        "{checked:?}"
    );
}
