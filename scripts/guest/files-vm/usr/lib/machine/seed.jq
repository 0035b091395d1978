# What a NoCloud seed asks for, as one record a line: VERB|VALUE|...|end. A value is escaped for
# printf's %b, so that it has no newline and no "|". Input: the files' texts in $ARGS.named: "meta",
# "network", and "config-N", the parts of user-data that begin with "#cloud-config".
# Lists of several parts are joined; of settings, the first part's counts.

def escaped:
  tostring
  | if any(explode[]; . == 0) then error("a value has a NUL character") else . end
  | split("\\") | join("\\0134") | split("\n") | join("\\n") | split("|") | join("\\0174");
def record: map(escaped) + ["end"] | join("|");
def complain($text): ["error", $text] | record;
# A value that cannot be used costs itself, not the rest.
def guarded(what; records): try records catch complain("\(what): \(.)");

# In an array, for jq 1.6's try catches the errors of what comes after it, too.
def from_json($complaint): [try (fromjson | [.]) catch null][0] | if . then .[0] else error($complaint) end;

def list: if . == null then [] elif type == "array" then . else [.] end;
def words: if type == "string" then split(",") else list end | map(tostring | gsub("\\A\\s+|\\s+\\z"; "")) | map(select(. != ""));
def check(regex; what): if type == "string" and test("\\A(?:" + regex + ")\\z") then . else error("\(tojson) is not \(what)") end;
def one_line(what): check("[^\n\r]*"; what);
def account: check("[a-z_][a-z0-9_-]{0,31}"; "the name of a user or group");
def text_of: if . == null then "" else tostring end;

def meta:
  . as $text
  | [try fromjson catch ([$text | split("\n")[] | capture("\\A(?<key>[A-Za-z_-]+):\\s*(?<value>.*?)\\s*\\z")
    | .value |= (capture("\\A(?<q>[\"'])(?<v>.*)\\k<q>\\z").v // .)] | from_entries)][0]
  | if type == "object" then . else {} end;

def config($name; $text):
  $text | sub("\\A#cloud-config[^\n]*\n?"; "")
  | from_json("user-data is not JSON: YAML is for images built with build-image --cloud-init")
  | if type == "object" then . else error("user-data is not a JSON object") end;

def key_records($name):
  list[] | guarded("ssh_authorized_keys";
    tostring | gsub("\\A\\s+|\\s+\\z"; "") | one_line("an SSH key of one line") | select(. != "") | ["key", $name, .] | record);

def user:
  if . == "default" then {name: "docker"} elif type == "string" then {name: .} else . end
  | (.name | account) as $name
  | ([(.groups | words)[] | account] | join(",")) as $groups
  | (if .primary_group == null then "" else .primary_group | account end) as $primary
  | (if .uid == null then "" else .uid | tostring | check("[0-9]{1,9}"; "a user id") end) as $uid
  | (.homedir | text_of | check("|/[^\n:]*"; "a home folder")) as $home
  | ((.shell // "/bin/bash") | check("/[^\n:]*"; "a shell")) as $shell
  | (.gecos | text_of | check("[^\n:]*"; "a description")) as $gecos
  | ((.hashed_passwd // .passwd) | text_of | check("|[!-9;-~]+"; "a hashed password")) as $hash
  | (["user", $name, $uid, $primary, $groups, $home, $shell, $gecos, $hash, (.lock_passwd != false), (.system == true)] | record),
    (.sudo | if . == false then null else . end | list | select(length > 0) | guarded("users";
      map("\($name) " + one_line("a sudo rule of one line")) | ["sudo", $name, join("\n") + "\n"] | record)),
    (.ssh_authorized_keys | key_records($name));

def file:
  (.path | check("/[^\n]*"; "an absolute path")) as $path
  | ((.permissions // "0644") | check("[0-7]{3,4}"; "a mode of 3 or 4 octal digits in quotes")) as $mode
  | ((.owner // "root:root") | check("[a-z0-9_][a-z0-9_-]*(:[a-z0-9_][a-z0-9_-]*)?"; "an owner")) as $owner
  | ((.encoding // "text/plain") | if . == "b64" or . == "base64" then "base64" elif . == "text/plain" then "text" else error("encoding \(tojson) of \($path) is not known here") end) as $encoding
  | ["file", $path, $mode, $owner, (.append == true), $encoding, (.content | text_of)] | record;

def fstab_field: split("\\") | join("\\134") | split(" ") | join("\\040") | split("\t") | join("\\011");
def mount:
  [list[] | if . == null then "" else tostring end | one_line("a field of fstab")] as $m
  | ["", "", "auto", "defaults,nofail", "0", "2"] as $default
  | [range(6) | if ($m[.] // "") == "" then $default[.] else $m[.] end]
  | select($m[1:] | any(. != "")) # a device alone: cloud-init's way to say "not this one"
  | if .[0] == "" then error("a mount without a device") else . end
  | .[1] |= check("/.*|none|swap"; "a mount point")
  | .[3] += ",x-machine-seed"
  | ["mount", .[0], .[1], .[2], .[3], (map(fstab_field) | join(" "))] | record;

def address: check("[0-9A-Fa-f:.]+/[0-9]{1,3}"; "an address with a prefix length");
def host: check("[0-9A-Fa-f:.]+"; "an address");
def network_file($key):
  (if .match.macaddress then "MACAddress=" + (.match.macaddress | check("[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}"; "a MAC address"))
   else "Name=" + ((.match.name // $key) | check("[A-Za-z0-9*?._-]+"; "the name of a network card")) end) as $match
  | {"true,true": "yes", "true,false": "ipv4", "false,true": "ipv6"}["\(.dhcp4 == true),\(.dhcp6 == true)"] as $dhcp
  | ["[Match]", $match, "", "[Network]", "DHCP=\($dhcp // "no")",
     ((.addresses | list)[] | "Address=" + address),
     ((.gateway4, .gateway6) | values | "Gateway=" + host),
     ((.nameservers.addresses | list)[] | "DNS=" + host),
     ((.nameservers.search | list)[] | "Domains=" + check("[A-Za-z0-9._-]+"; "a domain")),
     (if .mtu then "", "[Link]", "MTUBytes=\(.mtu | tostring | check("[0-9]{2,5}"; "an MTU"))" else empty end),
     (if $dhcp then "", "[DHCPv4]", "ClientIdentifier=mac", "UseDomains=yes" else empty end),
     ((.routes | list)[] | "", "[Route]", "Gateway=" + (.via | host),
       (.to | if . == "default" or . == "0.0.0.0/0" then empty else "Destination=" + address end))]
  | join("\n") + "\n";
def network:
  if test("\\A\\s*\\z") then empty
  else from_json("network-config is not JSON")
    | (.network // .)
    | if .version != 2 then error("network-config is not of version 2") else . end
    | [.ethernets // {} | to_entries[] | .key as $key | .value | network_file($key)]
    | to_entries[] | ["network", .key, .value] | record
  end;

def known: ["users", "ssh_authorized_keys", "ssh_pwauth", "disable_root", "ssh_deletekeys", "ssh_keys", "ssh_genkeytypes",
  "growpart", "mounts", "hostname", "fqdn", "write_files", "runcmd"];
def harmless($key): ($key | IN("package_update", "package_upgrade", "preserve_hostname", "package_reboot_if_required")) and (.[$key] == false);
def commands:
  "#!/bin/sh\n" + (map(if type == "array" then map(tostring | @sh) | join(" ") else tostring end + "\n") | join(""));

def first_of(f): [.[] | .doc | f | select(. != null)][0];
def settings:
  (first_of(.ssh_pwauth) | select(. != null) | ["pwauth", (. == true or . == "true" or . == "yes")] | record),
  (first_of(.disable_root) | select(. != null) | ["disable-root", (. != false and . != "false")] | record),
  (first_of(.growpart.mode) | select(. == false or . == "off" or . == "false") | ["no-grow"] | record),
  ((first_of(.ssh_deletekeys) != false) as $delete
    | (first_of(.ssh_keys) // {}) as $keys
    | (if $delete then ["delete-keys"] | record else empty end),
      ($keys | to_entries[] | guarded("ssh_keys";
        (.key | capture("\\A(?<type>rsa|ecdsa|ed25519)_(?<kind>private|public|certificate)\\z")
          // error("\(tojson) is not known")) as $key
        | ["host-key", $key.type, $key.kind, (.value | tostring | if endswith("\n") then . else . + "\n" end)] | record)),
      (if $keys == {} then (first_of(.ssh_genkeytypes) // ["ed25519"]) else [] end
        | list[] | guarded("ssh_genkeytypes"; check("rsa|ecdsa|ed25519"; "a type of key") | ["generate-key", .] | record)));

$ARGS.named as $files
| ($files.meta // "" | meta) as $meta
| [$files | to_entries[] | select(.key | startswith("config-"))] | sort_by(.key) as $texts
| [$texts[] | {key, doc: (. as $t | try config($t.key; $t.value) catch {bad: .})}] as $parts
| [$parts[] | select(.doc.bad | not)] as $docs
| ([$docs[] | .doc.users | list[] | if type == "object" then .name else . end | if . == "default" then "docker" else . end][0] // "docker") as $first_user
| (["instance", ($meta["instance-id"] // "")] | record),
  ($parts[] | .doc.bad | select(.) | complain(.)),
  (($docs | first_of(.hostname // .fqdn)) // $meta["local-hostname"] // $meta.hostname
    | select(. != null) | guarded("hostname"; check("[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?"; "a host name") | ["hostname", .] | record)),
  guarded("network-config"; $files.network // "" | network),
  ($docs[] | .doc
    | (.users | list[] | guarded("users"; user)),
      (.ssh_authorized_keys | key_records($first_user))),
  ($docs | settings),
  ($docs[] | .key as $key | .doc
    | (.write_files | list[] | guarded("write_files"; file)),
      (.mounts | list[] | guarded("mounts"; mount)),
      (.runcmd | list | select(length > 0) | ["run", $key, commands] | record),
      (. as $doc | keys[] | . as $k | select((known | index($k) | not) and ($doc | harmless($k) | not)) | ["ignored", tojson] | record))
