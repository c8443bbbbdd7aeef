"""uploads.py - files as a browser sends them."""

BOUNDARY = "----bakame-test"


def part(name, data, field="file", headers=""):
    name = name if isinstance(name, bytes) else name.encode()
    return (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="'.encode() + name
            + f'"\r\n{headers}\r\n'.encode() + data + b"\r\n")


def form(*files):
    """A whole form of (name, bytes)."""
    return b"".join(part(name, data) for name, data in files) + f"--{BOUNDARY}--\r\n".encode()


def send(person, body, content_type=f"multipart/form-data; boundary={BOUNDARY}"):
    return person.stack.request("POST", "/api/upload", body,
                                {"Content-Type": content_type, "Authorization": f"Bearer {person.token}"})


def upload(person, name, data):
    exchange = send(person, form((name, data)))
    answer = exchange.json()
    assert exchange.status == 201, answer
    (file,) = answer["files"]
    return file
