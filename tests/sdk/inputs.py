"""Valid inputs for all 23 rule types, and the objects they name."""

from gateway import ACCOUNT, CA_FILE, SECRET, read

SHA256 = "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c"
SHA1 = "fe2c359d79d4ceae6bdf7efb507326c6b4e2436e"

# What an integration of each type is configured with.
CONFIGURATIONS = {
    "workspace_one": {
        "api_url": "https://as123.awmdm.com/API",
        "auth_url": "https://na.uemauth.example/connect/token",
        "client_id": "workspace-one-client",
        "client_secret": f"{SECRET}-workspace-one",
    },
    "crowdstrike_s2s": {
        "api_url": "https://api.us-2.crowdstrike.example",
        "client_id": "crowdstrike-client",
        "client_secret": f"{SECRET}-crowdstrike",
        "customer_id": "0123456789abcdef-01",
    },
    "uptycs": {
        "api_url": "https://rnd.uptycs.example/public/api/customers/1",
        "client_key": f"{SECRET}-uptycs-key",
        "client_secret": f"{SECRET}-uptycs",
        "customer_id": "uptycs-customer",
    },
    "intune": {
        "client_id": "intune-client",
        "client_secret": f"{SECRET}-intune",
        "customer_id": "5e3c4d2a-7f7d-4c83-9d0a-0a5d8a3a8b11",
    },
    "kolide": {"client_id": "kolide-client", "client_secret": f"{SECRET}-kolide"},
    "tanium_s2s": {
        "api_url": "https://customer-api.cloud.tanium.example/plugin/products/gateway/graphql",
        "client_secret": f"{SECRET}-tanium",
        "access_client_id": "tanium-access.example",
        "access_client_secret": f"{SECRET}-tanium-access",
    },
    "sentinelone_s2s": {"api_url": "https://usea1.sentinelone.example", "client_secret": f"{SECRET}-sentinelone"},
    "custom_s2s": {
        "api_url": "https://posture.example/devices",
        "access_client_id": "custom-access.example",
        "access_client_secret": f"{SECRET}-custom-access",
    },
}

SECRET_MEMBERS = ("client_secret", "client_key", "access_client_secret")


def prepare(client):
    """Makes what rules name, and returns the ids: of two lists, a certificate, and an integration of each type."""
    lists = client.zero_trust.gateway.lists
    ids = {
        "SERIAL": lists.create(account_id=ACCOUNT, name="laptops", type="SERIAL", items=[{"value": "C02XYZ"}]).id,
        "DEVICE": lists.create(account_id=ACCOUNT, name="phones", type="DEVICE", items=[{"value": "123e4567e89b"}]).id,
        "certificate": client.mtls_certificates.create(
            account_id=ACCOUNT, ca=True, certificates=read(CA_FILE), name="devices"
        ).id,
    }
    for kind, config in CONFIGURATIONS.items():
        made = client.zero_trust.devices.posture.integrations.create(
            account_id=ACCOUNT, name=f"{kind} provider", type=kind, interval="10m", config=config
        )
        ids[kind] = made.id
    return ids


def inputs_for(ids):
    """Every type with its inputs; None stands for a rule without one."""
    return {**programs_and_system(), **listed_and_certified(ids), **providers(ids)}


def programs_and_system():
    program = {"operating_system": "linux", "path": "/usr/bin/falcon-sensor", "sha256": SHA256}
    return {
        "file": [
            {"operating_system": "linux", "path": "/bin/cat", "exists": True, "sha256": SHA256},
            {"operating_system": "windows", "path": "%ProgramFiles%\\a.exe", "thumbprint": SHA1.upper()},
            {"operating_system": "mac", "path": "/Library/forbidden", "exists": False},
        ],
        "application": [program, {"operating_system": "mac", "path": "${HOME}/b", "thumbprint": SHA1}],
        "tanium": [None],
        "gateway": [None, {}],
        "warp": [None, {}],
        "disk_encryption": [{"requireAll": True}, {"checkDisks": ["D", "C"], "requireAll": False}, {}],
        "sentinelone": [program],
        "carbonblack": [{"operating_system": "windows", "path": "c:\\program files\\CarbonBlack\\CarbonBlack.exe"}],
        "firewall": [
            {"enabled": False, "operating_system": "windows"},
            {"enabled": True, "operating_system": "mac"},
        ],
        "os_version": [
            {"operating_system": "windows", "operator": ">=", "version": "10.0.19045", "os_version_extra": "3803"},
            {"operating_system": "chromeos", "operator": "<", "version": "103.14816.131"},
            {"operating_system": "android", "operator": "==", "version": "14.0.0"},
        ],
        "domain_joined": [{"operating_system": "windows", "domain": "Example.com"}, {"operating_system": "windows"}],
        "antivirus": [None, {}, {"update_window_days": 30}, {"update_window_days": 0.5}],
    }


def listed_and_certified(ids):
    return {
        "serial_number": [{"id": ids["SERIAL"]}],
        "unique_client_id": [{"id": ids["DEVICE"], "operating_system": "ios"}],
        "client_certificate": [{"certificate_id": ids["certificate"], "cn": "example.com"}],
        "client_certificate_v2": [
            {
                "certificate_id": ids["certificate"],
                "check_private_key": True,
                "operating_system": "linux",
                "cn": "${serial_number}.${hostname}.example",
                "extended_key_usage": ["emailProtection", "clientAuth"],
                "locations": {"paths": ["/etc/b.pem", "/etc/a.pem"], "trust_stores": ["user", "system"]},
                "subject_alternative_names": ["${hostname}.example", "a.example"],
            },
            {"certificate_id": ids["certificate"], "check_private_key": False, "operating_system": "mac"},
        ],
    }


def providers(ids):
    return {
        "kolide": [
            {"connection_id": ids["kolide"], "auth_state": ["Will Block", "Good"]},
            {"connection_id": ids["kolide"], "countOperator": "<=", "issue_count": "3"},
        ],
        "tanium_s2s": [
            {"connection_id": ids["tanium_s2s"], "risk_level": "medium", "operator": "<="},
            {"connection_id": ids["tanium_s2s"], "total_score": 300, "scoreOperator": "<"},
            {"connection_id": ids["tanium_s2s"], "eid_last_seen": "2023-07-20T23:16:32Z", "operator": ">="},
        ],
        "crowdstrike_s2s": [
            {"connection_id": ids["crowdstrike_s2s"], "version": "2.1.0", "versionOperator": ">="},
            {"connection_id": ids["crowdstrike_s2s"], "last_seen": "15d3h20m4s", "operator": "<=", "state": "online"},
            {
                "connection_id": ids["crowdstrike_s2s"],
                "overall": "80",
                "os": "70",
                "sensor_config": "60.5",
                "operator": ">=",
            },
        ],
        "intune": [{"connection_id": ids["intune"], "compliance_status": "ingraceperiod"}],
        "workspace_one": [{"connection_id": ids["workspace_one"], "compliance_status": "noncompliant"}],
        "sentinelone_s2s": [
            {
                "connection_id": ids["sentinelone_s2s"],
                "active_threats": 0,
                "operator": "==",
                "infected": False,
                "is_active": True,
                "network_status": "connected",
                "operational_state": "na",
            },
            {"connection_id": ids["sentinelone_s2s"]},
        ],
        "custom_s2s": [{"connection_id": ids["custom_s2s"], "operator": ">=", "score": 85}],
    }
