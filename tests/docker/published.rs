use crate::support::lab::docker_host;

#[test]
fn try_it() {
    let Some((lab, host)) = docker_host() else { return };
    host.run("engine start");
    host.run("docker run -d --stop-timeout 1 --name web -h web -p 8080:80 box");
    lab.outside.is_served("192.0.2.1:8080", "web");
    lab.outside.is_served("[2001:db8::1]:8080", "web");
    lab.outside.is_refused("192.0.2.1:8081");
    let storm = lab.outside.storm(&["192.0.2.1:8080", "[2001:db8::1]:8081"]);
    host.run("engine restart");
    storm.goes_on_for(100);
    eprintln!("{storm:?} {}", storm.through());
    storm.got_nowhere();
}
