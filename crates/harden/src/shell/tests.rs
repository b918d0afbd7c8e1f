//! Tests of the reading as a whole.

use super::*;

fn externals(text: &str) -> Vec<String> {
    commands(text)
}

#[test]
fn commands_are_the_words_in_command_position() {
    for (text, expected) in [
        ("curl -f http://localhost/ || exit 1", &["curl"][..]),
        ("redis-cli ping | grep -q PONG", &["redis-cli", "grep"]),
        ("A=1 exec /usr/sbin/nginx -g 'daemon off; x'", &["/usr/sbin/nginx"]),
        ("if test -f /x; then cat \"/x\"; fi && wget -q -O- localhost", &["cat", "wget"]),
        ("$CMD; [ -f a ] && \"my prog\"", &["my prog"]),
        ("test $(pgrep nginx) -gt 0", &["pgrep"]),
        ("", &[]),
        ("'unfinished", &["unfinished"]),
        ("a; b & c\nd", &["a", "b", "c", "d"]),
        ("# a\nb # c\nd#e", &["b", "d#e"]),
        ("a \\\n  b; c", &["a", "c"]),
        ("(a; b) && { c; }", &["a", "b", "c"]),
        ("! a && b", &["a", "b"]),
        ("while read -r x; do a; done < <(b)", &["a", "b"]),
        ("until a; do sleep 1; done", &["a", "sleep"]),
        ("for x in a b; do c; done", &["c"]),
        ("a > b 2>&1 >> c < d", &["a"]),
        ("a 2>/dev/null && b &>/dev/null; c", &["a", "b", "c"]),
        ("> out a", &["a"]),
        ("\"a\"'b'c", &["abc"]),
        ("\\rm -rf x", &["rm"]),
        ("a\r\nb\r\n", &["a", "b"]),
        ("größe ärger", &["größe"]),
        ("[[ -x a && b =~ c ]] && d", &["d"]),
        ("x=$((1 + $(a) * (2 - 1))); b", &["a", "b"]),
        ("(( i++ )); b", &["b"]),
        ("x=$(( (1) )); b", &["b"]),
        ("x=$( (a; b) ); c", &["a", "b", "c"]),
        ("echo \"$(a \"$(b)\")\" `c \\`d\\``", &["b", "a", "d", "c"]),
        ("echo ${x:-$(a)} \"${y:=`b`}\"", &["a", "b"]),
        ("x=(a b); y=( \"$(c)\" ); d", &["c", "d"]),
        ("f() { a; }; g () { b; }\nf; g; function h { c; }; h", &["a", "b", "c"]),
        ("cd /x || pushd y; printf a; read b; ulimit -n", &[]),
        ("1>x a; 2 b", &["a"]),
        ("a=b=c d", &["d"]),
        ("coproc a", &["a"]),
    ] {
        assert_eq!(externals(text), expected, "{text}");
    }
}

#[test]
fn hard_47_cases_have_patterns_and_commands() {
    let text =
        "case \"$(a)\" in\n  b|c) d ;;\n  (e) f; g ;;\n  [0-9]*) case $x in h) i;; esac ;&\n  *) j\nesac\nk";
    assert_eq!(externals(text), ["a", "d", "f", "g", "i", "j", "k"]);
    assert_eq!(externals("x=$(case $1 in a) b;; (c) d; esac); e"), ["b", "d", "e"]);
    assert_eq!(externals("case a in esac; b"), ["b"]);
}

#[test]
fn hard_47_here_documents_are_no_commands_but_what_is_filled_in_is() {
    let text = "cat > x <<EOF\nrm -rf /\n$(a) `b` ${c:-$(d)}\nEOF\ne <<-'END' | f\n\t$(no)\n\tEND\ng";
    assert_eq!(externals(text), ["cat", "a", "b", "d", "e", "f", "g"]);
    assert_eq!(externals("a <<X; b\n$(c)\nX\nd"), ["a", "b", "c", "d"]);
    assert_eq!(externals("sh -s <<'X'\na | b\nX\nc <<< \"$(d)\""), ["sh", "a", "b", "d", "c"]);
    assert_eq!(externals("a <<X\nnever ends $(b)"), ["a", "b"]);
}

#[test]
fn hard_47_commands_that_run_commands_are_followed() {
    for (text, expected) in [
        ("exec gosu redis \"$0\" \"$@\"", &["gosu"][..]),
        ("exec gosu app nice -n 5 server -x", &["gosu", "nice", "server"]),
        ("command -v jq && command ls", &["jq", "ls"]),
        ("type a >/dev/null; hash b; which c d", &["a", "b", "which", "c", "d"]),
        ("find . -name x -exec chown -h a {} + -o -execdir b \\;", &["find", "chown", "b"]),
        ("a | xargs -r -n 1 rm -f", &["a", "xargs", "rm"]),
        ("env -i A=b -u C d", &["env", "d"]),
        ("timeout -k 5 10s a", &["timeout", "a"]),
        ("setpriv --reuid redis --clear-groups -- a", &["setpriv", "a"]),
        ("su-exec 1:1 a", &["su-exec", "a"]),
        ("su postgres -c 'psql -c \"select 1\" | cat'", &["su", "psql", "cat"]),
        ("runuser -u app -- a", &["runuser", "a"]),
        ("bash -ec 'a; b'", &["bash", "a", "b"]),
        ("eval 'a b'; trap 'rm -f x' EXIT", &["a", "rm"]),
        ("xargs test -f; xargs echo", &["xargs", "test", "echo"]),
        ("start-stop-daemon --start --exec /usr/sbin/a -- -x", &["start-stop-daemon", "/usr/sbin/a"]),
        ("tini -- docker-entrypoint.sh", &["tini", "docker-entrypoint.sh"]),
        ("nohup a & time b", &["nohup", "a", "time", "b"]),
    ] {
        assert_eq!(externals(text), expected, "{text}");
    }
}

#[test]
fn hard_47_variables_stand_for_what_the_script_gives_them() {
    for (text, expected) in [
        ("DAEMON=/usr/sbin/a\n$DAEMON -x", &["/usr/sbin/a"][..]),
        ("x=a; \"${x}\"; ${y:-b} c", &["a", "b"]),
        ("local x=a; export y=b; $x $z; $y", &["a", "b"]),
        ("for c in curl wget; do command -v \"$c\"; done", &["curl", "wget"]),
        ("d=/opt/x; e=$d/bin; $e/run", &["/opt/x/bin/run"]),
        ("if t; then c=a; else c=b; fi; $c", &["t", "a", "b"]),
        ("x=$x; $x", &[]),
        ("c=$(a); $c", &["a"]),
        ("$PREFIX/bin/a", &[]),
    ] {
        assert_eq!(externals(text), expected, "{text}");
    }
    let environment = BTreeMap::from([("PREFIX", "/opt")]);
    let known = Known { environment: Some(&environment), directory: None };
    assert_eq!(read("$PREFIX/bin/a; ${PREFIX}b").commands(&known), ["/opt/bin/a", "/optb"]);
}

#[test]
fn hard_47_sourced_files_and_absolute_paths_are_found() {
    let text = ". /etc/default/a; source \"$(dirname \"$0\")/lib.sh\"; . ${0%/*}/b.sh\n. \"$x\"; x=/y/z\n\
        cp /usr/share/a /tmp/b; a --config=/etc/c < /in > /out; [ -f /etc/d ]";
    let known = Known { environment: None, directory: Some("/opt/app") };
    assert_eq!(read(text).sourced(&known), ["/etc/default/a", "/opt/app/lib.sh", "/opt/app/b.sh", "/y/z"]);
    let paths: Vec<String> = read(text).paths(&known).into_iter().collect();
    assert_eq!(paths, ["/etc/c", "/etc/d", "/in", "/tmp/b", "/usr/share/a", "/y/z"]);
}

#[test]
fn hard_63_absolute_words_with_wildcards_are_found_where_a_shell_expands_them() {
    let text = "for l in /usr/lib/*/libx.so /usr/lib/libx.so; do [ -s \"$l\" ]; done\n\
        case $1 in /opt/*) a ;; esac; d=/opt/x; b $d/[0-9]?.sh '*' x/*";
    let patterns: Vec<String> = read(text).patterns(&Known::default()).into_iter().collect();
    assert_eq!(patterns, ["/opt/x/[0-9]?.sh", "/usr/lib/*/libx.so"]);
}

#[test]
fn deep_nesting_and_many_values_end() {
    externals(&"$(".repeat(10_000));
    externals(&"(".repeat(10_000));
    externals(&"${a:-".repeat(10_000));
    externals(&"\"$(".repeat(1000));
    let text: String = (0..200).map(|n| format!("a{}=\"$a{n}$a{n}\"\n", n + 1)).collect();
    externals(&(text + "a0=x\na0=y\n$a200"));
    let options: String = (0..60).map(|n| format!("A=\"$A $B -a{n}\"\nB=\"$B $A -b{n}\"\n")).collect();
    externals(&(options + "run $A $B"));
}

#[test]
fn a_variable_in_its_own_value_has_its_other_value_there() {
    let found = externals("d=/opt/tool\nd=$d/bin\n$d/run");
    assert!(found.contains(&"/opt/tool/bin/run".to_owned()), "{found:?}");
}

proptest::proptest! {
    #[test]
    fn any_text_is_read(text in ".{0,200}") {
        externals(&text);
    }

    #[test]
    fn any_text_of_shell_signs_is_read(text in "[\"'`$(){}<>|&;#=\\\\\n a-c]{0,100}") {
        externals(&text);
    }
}
