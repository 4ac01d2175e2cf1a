#!/usr/bin/env python3
"""Print an operation table row for a method of a published API schema, ready to be completed.

usage: row.py SCHEMA.json METHOD PATH NAME      e.g. row.py api.json GET /version version

SCHEMA.json is a list of {path, method, params, returns, permissions, proxyto, allowtoken}. What is
printed is Rust for crates/proto/src/table: it has names, types, limits and the permission; the
summary, shared parameter groups, formats named `later("…")` and what is unbuilt are yours to fill in.
"""
import json
import sys

FORMATS = {
    "pve-vmid": "VMID", "pve-node": "NODE", "pve-storage-id": "STORAGE_ID", "pve-userid": "USER_ID",
    "pve-tokenid": "TOKEN_ID", "pve-groupid": "GROUP_ID", "pve-roleid": "ROLE_ID", "pve-realm": "REALM",
    "pve-poolid": "POOL_ID", "pve-priv": "PRIVILEGE", "pve-configid": "CONFIG_ID", "dns-name": "DNS_NAME",
    "pve-volume-id": "VOLUME_ID", "pve-storage-path": "STORAGE_PATH", "email-opt": "EMAIL",
    "mac-addr": "MAC_ADDRESS", "disk-size": "DISK_SIZE", "urlencoded": "URL_ENCODED", "pve-tag": "TAG",
    "pve-bridge-id": "BRIDGE_ID", "pve-storage-content": "STORAGE_CONTENT",
    "pve-task-status-type": "TASK_STATUS", "pve-calendar-event": "CALENDAR_EVENT",
}
LISTED = {"VMID", "NODE", "STORAGE_ID", "USER_ID", "TOKEN_ID", "GROUP_ID", "ROLE_ID", "PRIVILEGE",
          "CONFIG_ID", "TAG", "STORAGE_CONTENT", "TASK_STATUS"}


def text(value):
    return json.dumps(str(value), ensure_ascii=False)


def number(value):
    value = float(value)
    return f"{value:.1f}" if value == int(value) else repr(value)


def format_of(name):
    stem = name.removesuffix("-list")
    if stem in FORMATS and (stem == name or FORMATS[stem] in LISTED):
        return f"format::{FORMATS[stem]}{'_LIST' if stem != name else ''}"
    return f"format::later({text(name)})"


def field(name, spec):
    if "alias" in spec:
        if "keyAlias" in spec:
            return f"Field::key_alias({text(name)}, {text(spec['keyAlias'])}, {text(spec['alias'])})"
        return f"Field::alias({text(name)}, {text(spec['alias'])})"
    kind = spec.get("type")
    if kind == "array":
        code = f"Field::array({text(name)}, &{shape(spec.get('items', {}))})"
    elif kind == "object":
        properties = spec.get("properties")
        code = (f"Field::object({text(name)}, &[&[{fields(properties)}]])" if properties
                else f"Field::open_object({text(name)})")
    else:
        code = f"Field::{kind if kind in ('boolean', 'integer', 'number', 'string') else 'any'}({text(name)})"
    if spec.get("optional"):
        code += ".optional()"
    low, high = spec.get("minimum"), spec.get("maximum")
    if low is not None and high is not None:
        code += f".range({number(low)}, {number(high)})"
    elif low is not None:
        code += f".min({number(low)})"
    elif high is not None:
        code += f".max({number(high)})"
    for key, call in (("minLength", "min_length"), ("maxLength", "max_length")):
        if key in spec:
            code += f".{call}({spec[key]})"
    if "enum" in spec:
        code += f".one_of(&[{', '.join(text(v) for v in spec['enum'])}])"
    if "pattern" in spec:
        pattern = spec["pattern"].replace("(?^:", "(?:").replace("(?^i:", "(?i:").replace("{,", "{0,")
        code += f".pattern(r#\"{pattern}\"#)"
    shaped = spec.get("format")
    if isinstance(shaped, dict):
        code += f".format(Format::Properties {{ name: {text(name)}, fields: &[{fields(shaped)}] }})"
    elif shaped:
        code += f".format({format_of(shaped)})"
    if spec.get("default") is not None:
        code += f".default({text(spec['default'])})"
    if "requires" in spec:
        code += f".requires({text(spec['requires'])})"
    if name.endswith("[n]"):
        code += ".indexed(0)"
    if spec.get("default_key"):
        code += ".default_key()"
    return code


def fields(properties):
    return ", ".join(field(name, spec) for name, spec in (properties or {}).items())


def shape(spec):
    kind = spec.get("type")
    if kind == "array":
        return f"Shape::Array(&{shape(spec.get('items', {}))})"
    if kind == "object":
        open_ = "false" if spec.get("additionalProperties") == 0 else "true"
        return f"Shape::Object {{ fields: &[&[{fields(spec.get('properties'))}]], open: {open_} }}"
    return {"null": "Shape::Null", "boolean": "Shape::Boolean", "integer": "Shape::Integer",
            "number": "Shape::Number", "string": "Shape::String"}.get(kind, "Shape::Any")


def privilege(name):
    words = name.replace("SDN", "Sdn").replace("VM", "Vm").replace("CPU", "Cpu").replace("CDROM", "Cdrom")
    return "Privilege::" + words.replace("HWType", "HwType").replace(".", "")


def check(node):
    word = node[0]
    if word in ("and", "or"):
        return f"Check::{'All' if word == 'and' else 'Any'}(&[{', '.join(check(n) for n in node[1:])}])"
    if word == "perm":
        names = ", ".join(privilege(p) for p in node[2])
        call = "AnyOn" if "any" in node[3:] else "On"
        return f"Check::{call}({text(node[1])}, &[{names}])"
    if word == "perm-modify":
        return "Check::ModifyAcl"
    if word == "userid-param":
        return "Check::SelfUser" if node[1] == "self" else f"Check::UserRealm({privilege(node[1])})"
    if word == "userid-group":
        names = ", ".join(privilege(p) for p in node[1])
        more = "true" if len(node) > 2 else "false"
        return f"Check::UserGroups {{ privileges: &[{names}], new_groups: {more} }}"
    return f"/* {json.dumps(node)} */"


def permission(spec):
    if not spec:
        return ".permission(Permission::Root)"
    if "check" in spec:
        return f".check({check(spec['check'])})"
    return f".permission(Permission::{'World' if spec.get('user') == 'world' else 'User'})"


def row(spec, name):
    verb = spec["method"].lower()
    params = ", ".join(field(p["name"], p) for p in spec["params"])
    code = f"Row::{verb}({text(spec['path'])}, {text(name)}, \"\")"
    code += f".params(&[&[{params}]])" if params else ""
    code += f".returns({shape(spec.get('returns') or {})})"
    code += permission(spec.get("permissions"))
    code += ".on_node()" if spec.get("proxyto") == "node" else ""
    code += ".no_token()" if str(spec.get("allowtoken")) == "0" else ""
    if spec.get("permissions", {}) and spec["permissions"].get("mentions"):
        code += f" /* the method itself looks at: {', '.join(spec['permissions']['mentions'])} */"
    return code + ","


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    schema, method, path, name = sys.argv[1:]
    for spec in json.load(open(schema)):
        if (spec["method"], spec["path"]) == (method, path):
            print(row(spec, name))
            return
    sys.exit(f"{method} {path} is not in {schema}")


if __name__ == "__main__":
    main()
