/// Agent files that must be refused.
package enum BadAgents {
  package static var all: [BadFile] { shape + texts + ports + health + dependencies + containers + hostile }

  /// An agent file that lacks nothing but its health checks.
  package static let least = """
    agent: demo
    user: agent
    exec: bin/agent
    slots: {blue: 7001, green: 7002}
    public_port: 8400

    """

  /// A file whose sixth line, and what follows, is wrong.
  private static func with(_ line: String) -> String { least + line + "\nhealth: [{tcp: true}]" }
  private static func replacing(_ line: String, _ other: String) -> String {
    least.split(separator: "\n").map { $0 == line ? other : String($0) }.joined(separator: "\n")
      + "\nhealth: [{tcp: true}]"
  }
  private static func probe(_ probe: String) -> String { least + "health: [{\(probe)}]" }
  private static func needs(_ dependency: String) -> String { with("dependencies: [{\(dependency)}]") }

  package static let shape = [
    BadFile("unknown key", with("enviroment: {A: 1}"), at: "6:1", says: "did you mean environment?"),
    BadFile("duplicate key", with("strip: 0\nstrip: 1"), at: "7:1", says: "line 6 already"),
    BadFile("health missing", least, at: "1:1", says: "lacks the key \"health\""),
    BadFile("health empty", least + "health: []", at: "6:9", says: "0 entries"),
    BadFile("health a mapping", least + "health: {http: /}", at: "6:9", says: "must be a list"),
    BadFile("everything missing", "{}", at: "1:1", says: "lacks the key \"slots\""),
    BadFile("user missing", replacing("user: agent", "strip: 0"), at: "1:1", says: "lacks the key \"user\""),
    BadFile("args a text", with("args: --verbose"), at: "6:7", says: "must be a list"),
    BadFile("an argument a list", with("args: [[a]]"), at: "6:8", says: "an argument must be text"),
    BadFile("an empty argument", with("args: [a, ~]"), at: "6:11", says: "not nothing"),
    BadFile("environment a list", with("environment: [A=1]"), at: "6:14", says: "NAME: VALUE"),
    BadFile("concurrent no", with("concurrent: no"), at: "6:13", says: "write false"),
    BadFile("strip negative", with("strip: -1"), at: "6:8", says: "from 0 to 16"),
    BadFile("drain without unit", with("drain: 30"), at: "6:8", says: "30s for seconds"),
    BadFile("unknown traffic driver", with("traffic: nftable"), at: "6:10", says: "did you mean nftables?"),
    BadFile(
      "haproxy is not built yet", with("traffic: haproxy"), at: "6:10", says: "not available in this version",
      "nftables, none"),
    BadFile(
      "caddy as a mapping", with("traffic: {caddy: {}}"), at: "6:11", says: "not available in this version"),
    BadFile("command without a command", with("traffic: command"), at: "6:10", says: "{command: ["),
    BadFile(
      "relative traffic command", with("traffic: {command: [move]}"), at: "6:21", says: "absolute path"),
    BadFile(
      "traffic command as text", with("traffic: {command: /bin/move now}"), at: "6:20", says: "must be a list"
    ),
  ]

  /// A container, which has no program of its own; its line is the fifth.
  private static func container(_ inner: String, _ more: String = "") -> String {
    least.replacing("exec: bin/agent\n", with: "") + "container: {\(inner)}\n" + more
      + "\nhealth: [{tcp: true}]"
  }
  private static let digest = String(repeating: "ab", count: 32)

  package static let containers = [
    BadFile(
      "a container and a program", with("container: {}"), at: "3:7", says: "no meaning for a container"),
    BadFile(
      "a container and a unit", container("", "unit: none.service"), at: "6:7",
      says: "no meaning for a container"),
    BadFile(
      "a container and strip", container("", "strip: 1"), at: "6:8", says: "no meaning for a container"),
    BadFile(
      "neither a container nor a program", replacing("exec: bin/agent", "strip: 0"), at: "1:1",
      says: "lacks the key \"exec\"", "the program's path inside the release"),
    BadFile("unknown key of a container", container("volume: []"), at: "5:13", says: "did you mean volumes?"),
    BadFile("a container as text", with("container: demo"), at: "6:12", says: "must be a mapping"),
    BadFile(
      "an image by tag", container("image: registry.example/demo:2"), at: "5:20", says: "has no digest"),
    BadFile(
      "an image by tag and digest", container("image: 'registry.example/demo:2@sha256:\(digest)'"),
      at: "5:20",
      says: "without the tag"),
    BadFile(
      "an image without registry", container("image: demo@sha256:\(digest)"), at: "5:20",
      says: "must be named"),
    BadFile(
      "an image with a short digest", container("image: registry.example/demo@sha256:abcd"), at: "5:20",
      says: "64 hexadecimal digits"),
    BadFile(
      "an image with an option", container("image: '--privileged registry.example/demo@sha256:\(digest)'"),
      at: "5:20",
      says: "no image by digest"),
    BadFile("volumes as text", container("volumes: /var/lib/demo"), at: "5:22", says: "must be a list"),
    BadFile(
      "a volume without target", container("volumes: [/var/lib/demo]"), at: "5:23", says: "SOURCE:TARGET"),
    BadFile(
      "a volume with options", container("volumes: ['/var/lib/demo:/d:ro,Z']"), at: "5:23",
      says: "is no volume"),
    BadFile(
      "the host's files", container("volumes: ['/:/host:ro']"), at: "5:23", says: "no plain absolute path"),
    BadFile(
      "the host's settings", container("volumes: ['/etc:/host:ro']"), at: "5:23", says: "not the agent's own"),
    BadFile(
      "Podman's socket", container("volumes: ['/run/podman/podman.sock:/s']"), at: "5:23",
      says: "not the agent's own"),
    BadFile(
      "another agent's folder", container("volumes: ['/var/lib/demo2:/d']"), at: "5:23",
      says: "not the agent's own"),
    BadFile(
      "a way out", container("volumes: ['/var/lib/demo/../x:/d']"), at: "5:23", says: "no plain absolute path"
    ),
    BadFile(
      "certificates to write", container("volumes: ['/etc/ssl/certs:/d']"), at: "5:23", says: "lacks :ro"),
    BadFile(
      "a volume over /proc", container("volumes: ['/var/lib/demo:/proc/x']"), at: "5:23",
      says: "/proc of its own"),
    BadFile(
      "one target twice", container("volumes: ['/var/lib/demo:/d', '/run/demo:/d']"), at: "5:43",
      says: "place of its own"),
    BadFile("memory without unit", container("memory: 512"), at: "5:21", says: "with its unit"),
    BadFile("read_only as text", container("read_only: no"), at: "5:24", says: "write false"),
  ]

  package static let texts = [
    BadFile(
      "agent in capitals", replacing("agent: demo", "agent: Demo"), at: "1:8", says: "did you mean demo?"),
    BadFile("agent a path", replacing("agent: demo", "agent: ../../etc"), at: "1:8", says: "no agent's name"),
    BadFile("agent reserved", replacing("agent: demo", "agent: bin"), at: "1:8", says: "Switchyard itself"),
    BadFile(
      "agent too long", replacing("agent: demo", "agent: " + String(repeating: "a", count: 32)), at: "1:8",
      says: "longer than 31"),
    BadFile(
      "user with a line break", replacing("user: agent", "user: \"root\\nExecStartPre=/bin/sh\""), at: "2:7",
      says: "line break"),
    BadFile("user with a space", replacing("user: agent", "user: my agent"), at: "2:7", says: "no user name"),
    BadFile("user a number", replacing("user: agent", "user: 1000"), at: "2:7", says: "no user name"),
    BadFile("exec absolute", replacing("exec: bin/agent", "exec: /bin/sh"), at: "3:7", says: "absolute path"),
    BadFile(
      "exec outside", replacing("exec: bin/agent", "exec: bin/../../sh"), at: "3:7", says: "without .."),
    BadFile(
      "exec with an empty part", replacing("exec: bin/agent", "exec: bin//agent"), at: "3:7",
      says: "empty part"),
    BadFile(
      "exec with a specifier", replacing("exec: bin/agent", "exec: bin/%h"), at: "3:7",
      says: "letters, digits"),
    BadFile(
      "exec with arguments", replacing("exec: bin/agent", "exec: bin/agent -v"), at: "3:7",
      says: "letters, digits"),
    BadFile("PORT set", with("environment: {PORT: 1}"), at: "6:15", says: "always set to the slot's port"),
    BadFile("variable with a dash", with("environment: {MY-VAR: 1}"), at: "6:15", says: "no variable's name"),
    BadFile(
      "variable beginning with a digit", with("environment: {1A: 1}"), at: "6:15", says: "no variable's name"),
    BadFile(
      "value with a line break", with("environment: {A: \"b\\nUser=root\"}"), at: "6:18", says: "line break"),
    BadFile("value a mapping", with("environment: {A: {b: c}}"), at: "6:18", says: "must be text"),
    BadFile(
      "unquoted placeholder", with("environment: {A: {{ port }}}"), at: "6:19",
      says: "a list or mapping as a key"),
    BadFile(
      "unknown placeholder", with("args: [\"{{ prot }}\"]"), at: "6:8", says: "did you mean {{ port }}?"),
    BadFile(
      "placeholder of another language", with("args: [\"{{ inventory_hostname }}\"]"), at: "6:8",
      says: "{{ host }}"),
    BadFile("unclosed placeholder", with("args: [\"{{ port\"]"), at: "6:8", says: "does not end"),
    BadFile(
      "adopt without port", with("adopt: {unit: a.service}"), at: "6:8", says: "lacks the key \"port\""),
    BadFile(
      "adopt without suffix", with("adopt: {unit: old, port: 8400}"), at: "6:15", says: "write old.service"),
    BadFile(
      "adopt a path", with("adopt: {unit: ../a.service, port: 8400}"), at: "6:15", says: "without a path"),
    BadFile(
      "adopt its own unit", with("adopt: {unit: demo-blue.service, port: 8400}"), at: "6:15",
      says: "slot's own unit"),
    BadFile("unit missing", with("unit: units/none.service"), at: "6:7", says: "No such file"),
    BadFile("unit a folder", with("unit: /"), at: "6:7", says: "a folder"),
    BadFile("unit a device", with("unit: /dev/zero"), at: "6:7", says: "not a regular file"),
    BadFile("unit of another kind", with("unit: /etc/passwd"), at: "6:7", says: "[Service]"),
  ]

  package static let ports = [
    BadFile(
      "same slots", replacing("slots: {blue: 7001, green: 7002}", "slots: {blue: 7001, green: 7001}"),
      at: "4:28", says: "same port 7001"),
    BadFile(
      "public port a slot's", replacing("public_port: 8400", "public_port: 7002"), at: "5:14",
      says: "green slot's port"),
    BadFile("port 0", replacing("public_port: 8400", "public_port: 0"), at: "5:14", says: "from 1 to 65535"),
    BadFile(
      "port 65536", replacing("public_port: 8400", "public_port: 65536"), at: "5:14", says: "from 1 to 65535"),
    BadFile(
      "quoted port", replacing("public_port: 8400", "public_port: \"8400\""), at: "5:14",
      says: "write 8400 without quotes"),
    BadFile(
      "hexadecimal port", replacing("public_port: 8400", "public_port: 0x20D0"), at: "5:14",
      says: "no whole number"),
    BadFile(
      "red slot", replacing("slots: {blue: 7001, green: 7002}", "slots: {blue: 7001, red: 7002}"), at: "4:21",
      says: "no key \"red\""),
    BadFile(
      "one slot", replacing("slots: {blue: 7001, green: 7002}", "slots: {blue: 7001}"), at: "4:8",
      says: "lacks the key \"green\""),
    BadFile(
      "adopted on a slot's port", with("adopt: {unit: old.service, port: 7001}"), at: "6:34",
      says: "blue slot's port"),
  ]

  package static let health = [
    BadFile("probe of nothing", probe("port: 1"), at: "6:10", says: "asks nothing"),
    BadFile("probe of two things", probe("http: /, tcp: true"), at: "6:20", says: "two things"),
    BadFile("probe misspelt", probe("htp: /"), at: "6:11", says: "did you mean http?"),
    BadFile("path without slash", probe("http: health"), at: "6:17", says: "begin it with /"),
    BadFile("path a URL", probe("http: 'http://h/health'"), at: "6:17", says: "whole URL"),
    BadFile("path with a space", probe("http: /he alth"), at: "6:17", says: "a URL can't"),
    BadFile("path with CR LF", probe("http: \"/ HTTP/1.1\\r\\nHost: x\""), at: "6:17", says: "line break"),
    BadFile("tcp false", probe("tcp: false"), at: "6:16", says: "tcp: true"),
    BadFile("tcp port 0", probe("tcp: 0"), at: "6:16", says: "from 1 to 65535"),
    BadFile("tcp with two ports", probe("tcp: 1, port: 2"), at: "6:19", says: "two ports"),
    BadFile(
      "tcp with an answer", probe("tcp: true, expect: {status: 200}"), at: "6:22", says: "no answer to expect"
    ),
    BadFile(
      "verify without https", probe("http: /, verify: false"), at: "6:20", says: "verify without https"),
    BadFile("status 99", probe("http: /, expect: {status: 99}"), at: "6:37", says: "from 100 to 599"),
    BadFile("status OK", probe("http: /, expect: {status: OK}"), at: "6:37", says: "no whole number"),
    BadFile(
      "unknown expectation", probe("http: /, expect: {statsu: 200}"), at: "6:29", says: "did you mean status?"
    ),
    BadFile(
      "bad expression", probe("http: /, expect: {body_matches: '(a'}"), at: "6:43",
      says: "no regular expression"),
    BadFile(
      "long expression", probe("http: /, expect: {body_matches: '\(String(repeating: "a", count: 1001))'}"),
      at: "6:43", says: "longer than 1000"),
    BadFile(
      "header with a space", probe("http: /, expect: {header: {X Y: z}}"), at: "6:38",
      says: "no header field's name"),
    BadFile(
      "header with a line break", probe("http: /, expect: {header: {X: \"a\\r\\nb\"}}"), at: "6:41",
      says: "line break"),
    BadFile(
      "json yes", probe("http: /, expect: {json: {ok: yes}}"), at: "6:40", says: "true, false or quotes"),
    BadFile("json nested", probe("http: /, expect: {json: {a: {b: 1}}}"), at: "6:39", says: "a.b: VALUE"),
    BadFile(
      "json path with an empty part", probe("http: /, expect: {json: {a..b: 1}}"), at: "6:36",
      says: "joined by dots"),
    BadFile("json NaN", probe("http: /, expect: {json: {a: .nan}}"), at: "6:39", says: "no JSON number"),
    BadFile(
      "json placeholder", probe("http: /, expect: {json: {a: '{{ versoin }}'}}"), at: "6:39",
      says: "{{ version }}"),
  ]

  package static let dependencies = [
    BadFile("command as text", needs("command: python3 --version"), at: "6:26", says: "must be a list"),
    BadFile("command empty", needs("command: []"), at: "6:26", says: "0 entries"),
    BadFile(
      "command with a path trick", needs("command: [../sh]"), at: "6:27", says: "name or absolute path"),
    BadFile("version bound", needs("command: [a], version: newer"), at: "6:40", says: "no bound"),
    BadFile(
      "version on a size", needs("disk_free: 1GB, version: '1'"), at: "6:33", says: "no option version"),
    BadFile("size without unit", needs("disk_free: 200"), at: "6:28", says: "with its unit"),
    BadFile("size zero", needs("disk_free: 0MB"), at: "6:28", says: "above 0"),
    BadFile("size negative", needs("memory_free: -1GB"), at: "6:30", says: "above 0"),
    BadFile("size that overflows", needs("disk_free: 99999999999999999999TB"), at: "6:28", says: "at most"),
    BadFile("tcp without port", needs("tcp: 127.0.0.1"), at: "6:22", says: "HOST:PORT"),
    BadFile("tcp with IPv6 without brackets", needs("tcp: '::1:22'"), at: "6:22", says: "brackets"),
    BadFile("tcp port too large", needs("tcp: a:70000"), at: "6:22", says: "HOST:PORT"),
    BadFile("http another scheme", needs("http: 'file:///etc/passwd'"), at: "6:23", says: "http://HOST"),
    BadFile(
      "http with a password", needs("http: 'http://u:p@h/'"), at: "6:23",
      says: "remove what stands before the @"),
    BadFile("file relative", needs("file: etc/x"), at: "6:23", says: "absolute path"),
    BadFile("python module a path", needs("python_module: a/b"), at: "6:32", says: "no Python module's name"),
    BadFile("two kinds", needs("tcp: 'a:1', file: /x"), at: "6:29", says: "two things"),
    BadFile("no kind", needs("version: '1'"), at: "6:16", says: "names nothing to check"),
    BadFile("misspelt kind", needs("disc_free: 1GB"), at: "6:17", says: "did you mean disk_free?"),
    BadFile("dependency a word", with("dependencies: [python3]"), at: "6:16", says: "must be a mapping"),
  ]

  package static let hostile = [
    BadFile("empty", "", at: "1:1", says: "empty"),
    BadFile("NUL", least + "\u{0}", at: "6:1", says: "\\u{0}"),
    BadFile("not UTF-8", bytes: Array("agent: ".utf8) + [0xFF], at: "1:8", says: ["not UTF-8"]),
    BadFile("tab", with("slots:\n\tblue: 1"), at: "7:1", says: "tab"),
    BadFile("two documents", with("---\nagent: b"), at: "6:1", says: "second document"),
    BadFile("alias bomb", BadPolicies.bomb(), at: "5:36", says: "100000 values"),
    BadFile("tag", with("args: !!binary aGk="), at: "6:7", says: "binary"),
  ]
}
