use super::format;
use crate::diag::Diagnostics;
use crate::source::SourceMap;

fn laid_out(text: &str) -> String {
    let source = SourceMap::default().add("p.tide", text);
    format(source, text, &mut Diagnostics::default()).unwrap_or_default()
}

#[track_caller]
fn becomes(text: &str, expected: &str) {
    assert_eq!(laid_out(text), expected);
    assert_eq!(laid_out(expected), expected);
}

#[test]
fn settings_stand_in_columns() {
    becomes(
        "host{\nuplink eth0 eth1\n\n\n\nforwarding on # both\n  forward   drop\nlog denied limit 6 / minute# logged\n}",
        "host {
  uplink eth0 eth1

  forwarding on              # both
  forward    drop
  log denied limit 6/minute  # logged
}
",
    );
}

#[test]
fn sets_stay_in_one_line_or_have_one_for_each_member() {
    becomes(
        "

# head
trust  a { 10.0.0.1 , 10.0.0.2-10.0.0.9,except fd00::1 - fd00::5 } # one
trust long-name { office,
  desk }
trust list {   # three
10.0.0.1
  10.0.0.2, 10.0.0.3 #last

   # none
}
trust empty{}
",
        "# head
trust a         { 10.0.0.1, 10.0.0.2-10.0.0.9, except fd00::1-fd00::5 }  # one
trust long-name { office, desk }
trust list {  # three
  10.0.0.1
  10.0.0.2
  10.0.0.3  #last

  # none
}
trust empty {}
",
    );
    let members: Vec<String> = (0..12).map(|it| format!("10.200.100.{it}")).collect();
    becomes(
        &format!("trust many {{ {} }}", members.join(", ")),
        &format!("trust many {{\n  {}\n}}\n", members.join("\n  ")),
    );
}

#[test]
fn exposures_stand_in_columns() {
    becomes(
        "container web on n at 10.0.0.1 ,fd00::1 on m{ # the web
expose 80 , 443 / tcp as 8080 ,8443 from a, b limit 50 / second burst 3 per source log
expose 53/udp from x
expose 9000-9020/tcp
expose icmp echo-request log  # pings
expose 1/tcp as [ # bracket
 # own
 2001:db8::1
 ]:80 from a,
 # b
 b

}
container lone on n
host { forward drop }
",
        "container web on n at 10.0.0.1, fd00::1 on m {  # the web
  expose 80,443/tcp        as 8080,8443 from a, b limit 50/second burst 3 per source log
  expose 53/udp                         from x
  expose 9000-9020/tcp
  expose icmp echo-request              log  # pings
  expose 1/tcp as [  # bracket
      # own
      2001:db8::1]:80 from a,
      # b
      b
}
container lone on n
host { forward drop }
",
    );
}

#[test]
fn long_lists_have_one_entry_to_a_line() {
    becomes(
        "link averyveryverylongname-1,averyveryverylongname-2, averyveryverylongname-3, averyveryverylongname-4 -> b,c : tcp
link  a -> b
deny office-a -> bad : 80/tcp
",
        "link averyveryverylongname-1,
    averyveryverylongname-2,
    averyveryverylongname-3,
    averyveryverylongname-4 -> b, c : tcp
link a        -> b
deny office-a -> bad : 80/tcp
",
    );
}

#[test]
fn nothing_becomes_nothing_and_a_comment_a_line() {
    becomes("", "");
    becomes("\u{feff}\n\n \t\n", "");
    becomes("  # é  ", "# é\n");
    becomes("\r\n# a\r\n\r\n\r\n# b", "# a\n\n# b\n");
}

#[test]
fn mistakes_are_told_and_nothing_is_laid_out() {
    let text = "lnk a -> b\ntrust x { 10.0.0.1\n";
    let source = SourceMap::default().add("p.tide", text);
    let mut found = Diagnostics::default();
    assert_eq!(format(source, text, &mut found), None);
    assert_eq!(found.len(), 2);
}
