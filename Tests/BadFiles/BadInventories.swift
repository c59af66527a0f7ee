/// Inventories that must be refused; `ini` files are in INI form, `yml` files in YAML form.
package enum BadInventories {
  package static let ini = [
    BadFile("empty", "", at: "1:1", says: "no hosts"),
    BadFile("only comments", "# a\n; b\n", at: "1:1", says: "no hosts"),
    BadFile("only groups", "[web]\n", at: "1:1", says: "no hosts"),
    BadFile("section with a space", "[my web]\nh1\n", at: "1:1", says: "no section", "without spaces"),
    BadFile("empty section", "[]\nh1\n", at: "1:1", says: "no section"),
    BadFile("unknown kind of section", "h1\n[web:childern]\nh1\n", at: "2:1", says: "did you mean children?"),
    BadFile(
      "child that is not declared", "[web]\nh1\n[all2:children]\nwbe\n", at: "4:1", says: "\"wbe\"",
      "did you mean web?"),
    BadFile(
      "variables of no group", "[web]\nh1\n[db:vars]\na=1\n", at: "3:1",
      says: "no section declares the group \"db\""),
    BadFile("variable without value", "h1 ansible_port\n", at: "1:4", says: "NAME=VALUE"),
    BadFile(
      "group variable without value", "[a]\nh1\n[a:vars]\nansible_port 22\n", at: "4:1", says: "NAME=VALUE"),
    BadFile("two names in a line", "h1 h2\n", at: "1:4", says: "one line a host"),
    BadFile(
      "two children in a line", "[a]\nh\n[b:children]\na c\n", at: "4:1", says: "one group's name a line"),
    BadFile("unclosed quote", "h1 ansible_user=\"a\n", at: "1:1", says: "quote is not closed"),
    BadFile("backwards range", "h[9:1]\n", at: "1:1", says: "runs backwards"),
    BadFile("open range", "h[1:\n", at: "1:1", says: "not closed"),
    BadFile("range without end", "h[1:]\n", at: "1:1", says: "no range"),
    BadFile("range of uneven padding", "h[01:100]\n", at: "1:1", says: "different lengths"),
    BadFile("range of a letter and a number", "h[a:9]\n", at: "1:1", says: "two numbers or two letters"),
    BadFile("range with step 0", "h[1:9:0]\n", at: "1:1", says: "step"),
    BadFile("range of a billion", "h[0:999999999]\n", at: "1:1", says: "more than 100000 hosts"),
    BadFile("ranges that multiply", "h[0:9999][0:9999]\n", at: "1:1", says: "more than 100000 hosts"),
    BadFile("range beyond 64 bits", "h[0:99999999999999999999]\n", at: "1:1", says: "two numbers"),
    BadFile("host with a slash", "../etc\n", at: "1:1", says: "no host name"),
    BadFile("host that is an option", "-oProxyCommand=x\n", at: "1:1", says: "no host name"),
    BadFile("host with shell text", "$(reboot)\n", at: "1:1", says: "no host name"),
    BadFile("host of another alphabet", "hоst\n", at: "1:1", says: "no host name"),
    BadFile("port out of range", "h1:99999\n", at: "1:1", says: "out of range"),
    BadFile("port 0", "h1 ansible_port=0\n", at: "1:4", says: "from 1 to 65535"),
    BadFile("port a word", "h1 ansible_port=ssh\n", at: "1:4", says: "\"ssh\"", "from 1 to 65535"),
    BadFile("template", "h1 ansible_host='{{ ip }}'\n", at: "1:4", says: "template", "plug-in"),
    BadFile(
      "template in a group", "[a]\nh1\n[a:vars]\nansible_user={{ me }}\n", at: "4:1",
      says: "ansible_user of h1 is a template"),
    BadFile("address an option", "h1 ansible_host=-oProxyCommand=x\n", at: "1:4", says: "name or an address"),
    BadFile("user an option", "h1 ansible_user=-x\n", at: "1:4", says: "user's name"),
    BadFile("local connection", "h1 ansible_connection=local\n", at: "1:4", says: "\"local\"", "ssh"),
    BadFile(
      "winrm", "[w]\nh1\n[w:vars]\nansible_connection=winrm\n", at: "4:1", says: "\"winrm\"", "--limit"),
    BadFile(
      "ProxyCommand", "h1 ansible_ssh_common_args='-o ProxyCommand=\"nc %h %p\"'\n", at: "1:4",
      says: "write -J"),
    BadFile(
      "ssh configuration of its own", "h1 ansible_ssh_common_args='-F x'\n", at: "1:4", says: "~/.ssh/config"),
    BadFile("ssh option without value", "h1 ansible_ssh_common_args=-J\n", at: "1:4", says: "no value"),
    BadFile("jump host an option", "h1 ansible_ssh_extra_args='-J -x'\n", at: "1:4", says: "jump host"),
    BadFile(
      "open quote in ssh arguments", "h1 ansible_ssh_common_args=\"-o 'x\"\n", at: "1:4", says: "not closed"),
    BadFile(
      "group in a circle", "[a]\nh1\n[b:children]\na\n[a:children]\nb\n", at: "4:1",
      says: "its own descendant"),
    BadFile("group in itself", "[a]\nh1\n[a:children]\na\n", at: "4:1", says: "its own descendant"),
    BadFile("NUL", "h1\u{0}\n", at: "1:3", says: "\\u{0}"),
    BadFile("escape sequence", "h1 # \u{1B}]0;x\n", at: "1:6", says: "\\u{1b}"),
    BadFile("not UTF-8", bytes: Array("h1\n".utf8) + [0xFE], at: "2:1", says: ["not UTF-8"]),
    BadFile(
      "larger than 1 MiB", String(repeating: "#", count: (1 << 20) + 1), at: "1:1", says: "larger than 1 MiB"),
  ]

  package static let yml = [
    BadFile("empty", "", at: "1:1", says: "the file is empty"),
    BadFile("a list", "- h1\n", at: "1:1", says: "mapping of groups"),
    BadFile("hosts at the top", "hosts:\n  h1:\n", at: "2:3", says: "a group has no key \"h1\""),
    BadFile("misspelt key", "all:\n  host:\n    h1:\n", at: "2:3", says: "did you mean hosts?"),
    BadFile(
      "misspelt children", "all:\n  childern: {web: {hosts: {h1: }}}\n", at: "2:3",
      says: "did you mean children?"),
    BadFile(
      "hosts a list", "all:\n  hosts:\n    - h1\n", at: "3:5", says: "hosts must be a mapping", "colon"),
    BadFile("vars a word", "all:\n  hosts: h1\n  vars: x\n", at: "3:9", says: "NAME: VALUE"),
    BadFile(
      "host's variables a word", "all:\n  hosts:\n    h1: 10.0.0.1\n", at: "3:9", says: "mapping of variables"
    ),
    BadFile("group a word", "all: h1\n", at: "1:6", says: "must be a mapping"),
    BadFile("duplicate host", "all:\n  hosts:\n    h1:\n    h1:\n", at: "4:5", says: "line 3 already"),
    BadFile("group name with a space", "my group:\n  hosts: {h1: }\n", at: "1:1", says: "no group's name"),
    BadFile("group name a path", "../x:\n  hosts: {h1: }\n", at: "1:1", says: "no group's name"),
    BadFile("host name with a space", "all:\n  hosts:\n    h 1:\n", at: "3:5", says: "no host name"),
    BadFile(
      "port a list", "all: {hosts: {h1: {ansible_port: [22]}}}\n", at: "1:34", says: "write it as text"),
    BadFile("port too large", "all: {hosts: {h1: {ansible_port: 65536}}}\n", at: "1:34", says: "65535"),
    BadFile("template", "all: {hosts: {h1: {ansible_host: '{{ x }}'}}}\n", at: "1:34", says: "template"),
    BadFile(
      "template block", "all: {hosts: {h1: {ansible_host: '{% if x %}'}}}\n", at: "1:34", says: "template"),
    BadFile(
      "encrypted address", "all: {hosts: {h1: {ansible_host: !vault x}}}\n", at: "1:34", says: "encrypted"),
    BadFile(
      "line break in a user", "all: {hosts: {h1: {ansible_user: \"a\\nb\"}}}\n", at: "1:34",
      says: "user's name"),
    BadFile(
      "docker", "all: {hosts: {h1: }, vars: {ansible_connection: docker}}\n", at: "1:49", says: "\"docker\""),
    BadFile("plug-in", "plugin: amazon.aws.aws_ec2\n", at: "1:1", says: "ansible-inventory"),
    BadFile(
      "circle", "a: {children: {b: {children: {a: }}}}\nall: {hosts: {h1: }}\n", at: "1:31",
      says: "its own descendant"),
    BadFile("alias bomb", BadPolicies.bomb(), at: "5:36", says: "100000 values"),
    BadFile(
      "deep nesting",
      "a: " + String(repeating: "{children: {a: ", count: 20) + String(repeating: "}}", count: 20),
      at: "1:240", says: "nested deeper"),
    BadFile("two documents", "all: {hosts: {h1: }}\n---\nx: 1\n", at: "2:1", says: "second document"),
    BadFile("tab", "all:\n\thosts:\n", at: "2:1", says: "tab"),
    BadFile("list as key", "all: {hosts: {[a]: }}\n", at: "1:15", says: "as a key"),
    BadFile(
      "range of a billion", "all: {hosts: {'h[1:1000000000]': }}\n", at: "1:15", says: "more than 100000"),
    BadFile("NUL", "all:\u{0}", at: "1:5", says: "\\u{0}"),
    BadFile("unclosed quote", "all: 'x", at: "1:8", says: "close the quote"),
  ]

  /// Limits that must be refused, for the inventory `[web] w1 w2 [db] d1`.
  package static let limits = [
    BadFile("unknown host", "w3", at: "1:1", says: "no host or group matches \"w3\"", "did you mean"),
    BadFile("unknown group in a union", "web:dbs", at: "1:5", says: "\"dbs\"", "did you mean db?"),
    BadFile("unknown exclusion", "web:!w9", at: "1:5", says: "\"w9\""),
    BadFile("unknown intersection", "web,&x", at: "1:5", says: "\"x\""),
    BadFile("nothing left", "web:&db", at: "1:1", says: "no host is left"),
    BadFile("everything excluded", "all:!all", at: "1:1", says: "no host is left"),
    BadFile("subscript too large", "web[2]", at: "1:1", says: "no host or group matches"),
    BadFile("subscript too small", "web[-3]", at: "1:1", says: "no host or group matches"),
    BadFile("backwards subscript", "all[2:1]", at: "1:1", says: "no host or group matches"),
    BadFile("bad expression", "~(w", at: "1:1", says: "no regular expression"),
    BadFile("glob that matches nothing", "x*", at: "1:1", says: "\"x*\""),
    BadFile("empty", "", at: "1:1", says: "pattern is empty"),
    BadFile("only separators", ",,", at: "1:1", says: "pattern is empty"),
    BadFile("file that is not there", "@/nonexistent/hosts", at: "1:1", says: "No such file"),
    BadFile("control characters", "w\u{1B}", at: "1:1", says: "\\u{1b}"),
  ]
}
