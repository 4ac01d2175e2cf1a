//! `/access/domains`: realms. Only the built-in `pam` and `pve` exist in this version.

use model::Privilege;
use model::schema::{Field, Format, Shape, format};

use crate::{Check, Permission, Row};

const REALM: Field = Field::string("realm").max_length(32).format(format::REALM);

/// The second factor that a realm requires.
const TFA: &[Field] = &[
    Field::string("type").one_of(&["yubico", "oath"]),
    Field::string("id").optional().pattern("[A-Za-z0-9]+"),
    Field::string("key").optional().pattern("[A-Za-z0-9+/=]+"),
    Field::string("url").optional().pattern("https?://.+"),
    Field::integer("digits").optional().range(6.0, 8.0),
    Field::integer("step").optional().min(10.0),
];

/// The options of realms in a directory or at an identity provider, and the second factor that a
/// realm requires.
pub const REALM_OPTIONS: &[Field] = &[
    Field::string("acr-values")
        .optional()
        .pattern(r#"^[^\x00-\x1F\x7F <>#"]*$"#)
        .unbuilt(),
    Field::string("audiences")
        .optional()
        .pattern(r#"^[^\x00-\x1F\x7F <>#"]*$"#)
        .unbuilt(),
    Field::boolean("autocreate")
        .optional()
        .default("0")
        .unbuilt(),
    Field::string("base_dn")
        .optional()
        .max_length(256)
        .unbuilt(),
    Field::string("bind_dn")
        .optional()
        .max_length(256)
        .unbuilt(),
    Field::string("capath")
        .optional()
        .default("/etc/ssl/certs")
        .unbuilt(),
    Field::boolean("case-sensitive")
        .optional()
        .default("1")
        .unbuilt(),
    Field::string("cert").optional().unbuilt(),
    Field::string("certkey").optional().unbuilt(),
    Field::boolean("check-connection")
        .optional()
        .default("0")
        .unbuilt(),
    Field::string("client-id")
        .optional()
        .max_length(256)
        .unbuilt(),
    Field::string("client-key")
        .optional()
        .max_length(256)
        .unbuilt(),
    Field::string("domain")
        .optional()
        .max_length(256)
        .pattern(r"\S+")
        .unbuilt(),
    Field::string("filter")
        .optional()
        .max_length(2048)
        .unbuilt(),
    Field::string("group_classes")
        .optional()
        .format(format::unchecked("ldap-simple-attr-list"))
        .default("groupOfNames, group, univentionGroup, ipausergroup")
        .unbuilt(),
    Field::string("group_dn")
        .optional()
        .max_length(256)
        .unbuilt(),
    Field::string("group_filter")
        .optional()
        .max_length(2048)
        .unbuilt(),
    Field::string("group_name_attr")
        .optional()
        .max_length(256)
        .format(format::unchecked("ldap-simple-attr"))
        .unbuilt(),
    Field::boolean("groups-autocreate")
        .optional()
        .default("0")
        .unbuilt(),
    Field::string("groups-claim")
        .optional()
        .max_length(256)
        .pattern(r"(?:[A-Za-z0-9\.\-_]+)")
        .unbuilt(),
    Field::boolean("groups-overwrite")
        .optional()
        .default("0")
        .unbuilt(),
    Field::string("issuer-url")
        .optional()
        .max_length(256)
        .unbuilt(),
    Field::string("mode")
        .optional()
        .one_of(&["ldap", "ldaps", "ldap+starttls"])
        .default("ldap")
        .unbuilt(),
    Field::string("password").optional().unbuilt(),
    Field::integer("port")
        .optional()
        .range(1.0, 65535.0)
        .unbuilt(),
    Field::string("prompt")
        .optional()
        .pattern(r"(?:none|login|consent|select_account|\S+)")
        .unbuilt(),
    Field::boolean("query-userinfo")
        .optional()
        .default("1")
        .unbuilt(),
    Field::string("scopes")
        .optional()
        .default("email profile")
        .unbuilt(),
    Field::boolean("secure").optional().unbuilt(),
    Field::string("server1")
        .optional()
        .max_length(256)
        .format(format::unchecked("address"))
        .unbuilt(),
    Field::string("server2")
        .optional()
        .max_length(256)
        .format(format::unchecked("address"))
        .unbuilt(),
    Field::string("sslversion")
        .optional()
        .one_of(&["tlsv1", "tlsv1_1", "tlsv1_2", "tlsv1_3"])
        .unbuilt(),
    Field::string("sync-defaults-options")
        .optional()
        .format(format::unchecked("realm-sync-options"))
        .unbuilt(),
    Field::string("sync_attributes")
        .optional()
        .pattern(r"\w+=[^,]+(,\s*\w+=[^,]+)*")
        .unbuilt(),
    Field::string("tfa")
        .optional()
        .max_length(128)
        .format(Format::Properties {
            name: "pve-tfa-config",
            fields: TFA,
        })
        .unbuilt(),
    Field::string("user_attr")
        .optional()
        .max_length(256)
        .pattern(r"\S{2,}")
        .unbuilt(),
    Field::string("user_classes")
        .optional()
        .format(format::unchecked("ldap-simple-attr-list"))
        .default("inetorgperson, posixaccount, person, user")
        .unbuilt(),
    Field::boolean("verify").optional().default("0").unbuilt(),
];

/// The options of every realm.
const COMMON: &[Field] = &[
    Field::string("comment").optional().max_length(4096),
    Field::boolean("default").optional(),
];

const ALLOCATE: Check = Check::On("/access/realm", &[Privilege::RealmAllocate]);

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/access/domains",
        "domain_list",
        "The realms, for login forms.",
    )
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::string("comment").optional(),
            Field::boolean("default").optional(),
            Field::string("realm"),
            Field::string("tfa").optional().one_of(&["yubico", "oath"]),
            Field::string("type"),
        ]],
        open: true,
    }))
    .permission(Permission::World),
    Row::post("/access/domains", "domain_create", "Add a realm.")
        .params(&[
            &[
                REALM,
                Field::string("type")
                    .one_of(&["ad", "ldap", "openid", "pam", "pve"])
                    .unbuilt_values(&["ad", "ldap", "openid"]),
                Field::string("username-claim").optional().unbuilt(),
            ],
            COMMON,
            REALM_OPTIONS,
        ])
        .check(ALLOCATE),
    Row::delete(
        "/access/domains/{realm}",
        "domain_delete",
        "Remove a realm.",
    )
    .params(&[&[REALM]])
    .check(ALLOCATE),
    Row::get(
        "/access/domains/{realm}",
        "domain_get",
        "A realm's configuration.",
    )
    .params(&[&[REALM]])
    .returns(Shape::Object {
        fields: &[],
        open: true,
    })
    .check(Check::AnyOn(
        "/access/realm",
        &[Privilege::RealmAllocate, Privilege::SysAudit],
    )),
    Row::put(
        "/access/domains/{realm}",
        "domain_update",
        "Change a realm.",
    )
    .params(&[
        &[
            REALM,
            Field::string("delete")
                .optional()
                .max_length(4096)
                .format(format::CONFIG_ID_LIST),
            Field::string("digest").optional().max_length(64),
        ],
        COMMON,
        REALM_OPTIONS,
    ])
    .check(ALLOCATE),
];
