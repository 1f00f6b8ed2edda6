use proptest::prelude::*;

use super::*;

fn one(text: &str) -> Result<Project, ComposeError> {
    several(&[text])
}

fn several(texts: &[&str]) -> Result<Project, ComposeError> {
    let named = |(at, text): (usize, &&str)| (format!("{at}.yaml"), (*text).to_owned());
    let files: Vec<(String, String)> = texts.iter().enumerate().map(named).collect();
    let variables = Variables::from([
        ("TAG".to_owned(), "9".to_owned()),
        ("NONE".to_owned(), String::new()),
    ]);
    read(&files, "shop", &variables)
}

fn range(first: u16, last: u16) -> PortRange {
    PortRange { first, last }
}

#[test]
fn ports_have_many_forms() {
    let shown = |text: &str| {
        let port = port(text).unwrap();
        let host = port.host.map_or("?".to_owned(), |host| host.to_string());
        let address = port
            .address
            .map_or("*".to_owned(), |address| address.to_string());
        format!(
            "{address} {host} {} {}",
            port.container,
            port.protocol.name()
        )
    };
    for (text, expected) in [
        ("80", "* ? 80 tcp"),
        ("8080:80", "* 8080 80 tcp"),
        ("8000-8001:80-81/udp", "* 8000-8001 80-81 udp"),
        ("127.0.0.1:8080:80", "127.0.0.1 8080 80 tcp"),
        ("127.0.0.1::80/sctp", "127.0.0.1 ? 80 sctp"),
        ("[::1]:8080:80", "::1 8080 80 tcp"),
        ("::1:8080:80", "::1 8080 80 tcp"),
        ("0.0.0.0:8080:80", "* 8080 80 tcp"),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
    for text in [
        "",
        "0",
        "80:70000",
        "a:80",
        "90-80",
        "1.2.3:80:80",
        "80/icmp",
    ] {
        assert!(port(text).is_err(), "{text}");
    }
}

#[test]
fn variables_have_many_forms() {
    let variables = Variables::from([
        ("A".to_owned(), "x".to_owned()),
        ("E".to_owned(), String::new()),
    ]);
    for (text, expected) in [
        ("$A-${A}-$$A", Ok("x-x-$A")),
        ("${B:-y}${B-z}${E:-e}${E-e}", Ok("yze")),
        ("${A:+p}${E:+p}${E+q}${B+q}", Ok("pq")),
        ("${B:-${A}-${C:-d}}", Ok("x-d")),
        ("$B.", Ok(".")),
        ("${A:?no}", Ok("x")),
        ("${E:?say it}", Err("`E` must be set: say it")),
        ("${A", Err("`${A` stays open")),
        ("${}", Err("`${}` has a form that is not known")),
        ("$ 5", Err("`$ 5` is no variable; write `$$` for the sign")),
    ] {
        let found = interpolate(text, &variables);
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
    }
    let read = dotenv("# c\nA=1\nexport B='$A'\nC=\"$A\" \nD=x # c\n").unwrap();
    let values: Vec<&str> = read.values().map(String::as_str).collect();
    assert_eq!(values, ["1", "$A", "1", "x"]);
    assert_eq!(dotenv("\nA"), Err("line 2 is not `NAME=VALUE`".to_owned()));
}

const SHOP: &str = "
x-common: &common
  depends_on: [db]
services:
  web:
    <<: *common
    image: web:$TAG
    ports: [8080:80, {target: 443, published: '8443', host_ip: 127.0.0.1}]
    networks: {front: {ipv4_address: 172.20.0.10}, back: }
    links: ['db:database']
  db:
    container_name: the-db
    expose: ['5432', 5433/udp]
    networks: [back]
  job: {scale: 3}
networks:
  front:
    driver_opts: {com.docker.network.bridge.name: br-front, com.docker.network.bridge.enable_icc: 'false'}
    ipam: {config: [{subnet: 172.20.0.0/16}]}
  back: {internal: true, name: shared}
";

#[test]
fn services_and_networks_are_read() {
    let project = one(SHOP).unwrap();
    let web = &project.services["web"];
    assert_eq!(web.ports.len(), 2);
    assert_eq!(web.ports[1].host, Some(range(8443, 8443)));
    assert_eq!(
        (web.links[0].as_str(), web.depends_on[0].as_str()),
        ("db", "db")
    );
    assert_eq!(web.networks["front"][0].to_string(), "172.20.0.10");
    let db = &project.services["db"];
    assert_eq!(
        db.expose,
        [
            (range(5432, 5432), Protocol::Tcp),
            (range(5433, 5433), Protocol::Udp)
        ]
    );
    assert_eq!(project.containers("db"), ["the-db"]);
    assert_eq!(
        project.containers("job"),
        ["shop-job-1", "shop-job-2", "shop-job-3"]
    );
    let front = &project.networks["front"];
    assert_eq!(
        (front.bridge.as_deref(), front.icc),
        (Some("br-front"), false)
    );
    assert_eq!(front.name, "shop_front");
    let back = &project.networks["back"];
    assert!(back.internal && back.icc && back.name == "shared");
    assert_eq!(project.networks["default"].name, "shop_default");
}

#[test]
fn later_files_add_to_earlier_ones() {
    let more = "
services:
  web:
    ports: ['9090:90', '8080:80']
    networks: [extra]
    depends_on: {cache: {condition: service_started}}
  db: {expose: !override ['1']}
  job: !reset null
networks: {extra: {external: true}}
";
    let project = several(&[SHOP, more]).unwrap();
    let web = &project.services["web"];
    assert_eq!(web.ports.len(), 3);
    assert_eq!(
        web.networks.keys().collect::<Vec<_>>(),
        ["back", "extra", "front"]
    );
    assert_eq!(web.depends_on, ["db", "cache"]);
    assert_eq!(
        project.services["db"].expose,
        [(range(1, 1), Protocol::Tcp)]
    );
    assert!(project.networks["extra"].external && project.networks["extra"].name == "extra");
    assert!(!project.services.contains_key("job"));
}

#[test]
fn mistakes_name_their_place() {
    for (text, said) in [
        ("services: 7", "0.yaml: services: this must be a mapping"),
        (
            "services: {web: {ports: [a]}}",
            "0.yaml: services.web.ports[0]: `a` is not",
        ),
        (
            "services: {web: {ports: ['${X?who}']}}",
            "services.web.ports[0]: `X` must be set: who",
        ),
        (
            "services: {web: {extends: {service: a}}}",
            "services.web.extends: what a service extends",
        ),
        (
            "include: [a.yaml]",
            "0.yaml: include: files that a file includes",
        ),
        (
            "services: {web: {scale: 1000}}",
            "`1000` is no number up to 100",
        ),
        (
            "networks: {a: {ipam: {config: [{subnet: x}]}}}",
            "config[0].subnet: `x` is not a prefix",
        ),
        (
            "networks: {a: {internal: maybe}}",
            "`maybe` is neither true nor false",
        ),
        ("a: [", "0.yaml: "),
    ] {
        let error = one(text).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_project_or_a_mistake(text in "\\PC*") {
        let _ = one(&text);
        let _ = interpolate(&text, &Variables::new());
        let _ = port(&text);
        let _ = dotenv(&text);
    }

    #[test]
    fn ports_read_as_they_are_written(host in 1u16.., inner in 1u16.., count in 0u16..50) {
        let (host, inner) = (host.min(65000), inner.min(65000));
        let text = format!("10.0.0.1:{host}-{}:{inner}-{}/udp", host + count, inner + count);
        let port = port(&text).unwrap();
        prop_assert_eq!(port.host, Some(range(host, host + count)));
        prop_assert_eq!(port.container, range(inner, inner + count));
    }
}
