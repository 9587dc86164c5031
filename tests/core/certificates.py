"""Certificates for an engine with TLS and its clients, made with openssl in a folder:

ca.pem signs server.pem (for that address), stale-server.pem (expired), cert.pem (a client's) and
stale-cert.pem (expired); all are for the one key.pem. other-ca.pem signs other-cert.pem, whose key
is other-key.pem. locked-key.pem is key.pem with a passphrase.
"""

import subprocess


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_key(folder, name):
    openssl(folder, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", name)


def make_authority(folder, name, key):
    openssl(folder, "req", "-x509", "-key", key, "-subj", f"/CN={name}", "-days", "2",
            "-addext", "basicConstraints=critical,CA:TRUE", "-out", f"{name}.pem")


def sign(folder, name, key, authority, authority_key, days="2", extensions=()):
    with open(f"{folder}/extensions", "w", encoding="ascii") as file:
        file.write("\n".join(extensions))
    openssl(folder, "req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", "request")
    openssl(folder, "x509", "-req", "-in", "request", "-CA", f"{authority}.pem",
            "-CAkey", authority_key, "-CAcreateserial", "-days", days, "-extfile", "extensions",
            "-out", f"{name}.pem")


def make(folder, address="127.0.0.1"):
    server = (f"subjectAltName=IP:{address}", "extendedKeyUsage=serverAuth")
    client = ("extendedKeyUsage=clientAuth",)
    for key in ("ca-key.pem", "key.pem", "other-key.pem"):
        make_key(folder, key)
    make_authority(folder, "ca", "ca-key.pem")
    make_authority(folder, "other-ca", "other-key.pem")
    sign(folder, "server", "key.pem", "ca", "ca-key.pem", extensions=server)
    sign(folder, "stale-server", "key.pem", "ca", "ca-key.pem", "-1", server)
    sign(folder, "cert", "key.pem", "ca", "ca-key.pem", extensions=client)
    sign(folder, "stale-cert", "key.pem", "ca", "ca-key.pem", "-1", client)
    sign(folder, "other-cert", "other-key.pem", "other-ca", "other-key.pem", extensions=client)
    openssl(folder, "ec", "-in", "key.pem", "-aes256", "-passout", "pass:secret",
            "-out", "locked-key.pem")
