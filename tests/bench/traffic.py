"""What the app's two busiest questions cost: the models, and whether a video is done.

The plans set 50 KB to 5 KB a fetch against the first, 75 to 150 calls a video to 0 to 5 against the
second. Both are counted here on real connections; only the time that a video takes is played.
"""

import socket
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import edge_server
import psycopg
import rendio
from rendio.results import Job
from rendio.watch import Clock, watch

PLAN_BYTES = 50_000  # of the plans' catalogue
PLAN_SECONDS = (2, 4)  # between two questions
VIDEO_SECONDS = 300
MODEL = UUID(edge_server.MODEL)

# As many models as the plans' answer had.
MORE_MODELS = """
insert into public.models (name, category, description, provider, provider_model_id)
select 'Model ' || n, 'cinematic', repeat('What it is good for. ', 10), 'fal', 'fal-ai/m' || n
from generate_series(1, 200) as n
where n * 480 < %s
"""


def report(url: str) -> list[str]:
    """Return the lines that tell, of a database that has rendio."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(MORE_MODELS, [PLAN_BYTES])
        lines = ["", "  get-models            bytes of the answer  buffers"]
        with edge_server.running(url) as edge:
            first, etag = fetch(edge.port)
            again, _ = fetch(edge.port, etag)
        lines.append(f"  {'the first time':<20}  {first:19,}  {buffers(conn):7}")
        lines.append(f"  {'304, with the ETag':<20}  {again:19,}  {buffers(conn, etag):7}")
        conn.execute("delete from public.models where name like 'Model %'")
    least, most = (VIDEO_SECONDS // each for each in reversed(PLAN_SECONDS))
    lines += ["", f"  a video of {VIDEO_SECONDS // 60} minutes  status calls"]
    lines.append(f"  {'plan':<20}  {f'{least} to {most}':>12}")
    lines.append(f"  {'watch_job, asking':<20}  {calls(url, None):12}")
    lines.append(f"  {'watch_job, LISTEN':<20}  {calls(url, url):12}")
    return lines


def fetch(port: int, etag: str = "") -> tuple[int, str]:
    """Ask for the models as the app does; return the bytes that came and their ETag."""
    condition = f"If-None-Match: {etag}\r\n" if etag else ""
    head = (
        f"GET /functions/v1/get-models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{condition}\r\n"
    )
    with socket.create_connection(("127.0.0.1", port)) as conn:
        conn.sendall(head.encode())
        answer = b"".join(iter(lambda: conn.recv(65536), b""))
    headers = answer.split(b"\r\n\r\n")[0].decode().lower().splitlines()
    (found,) = [line.removeprefix("etag: ") for line in headers if line.startswith("etag: ")]
    assert headers[0].split()[1] == ("304" if etag else "200")
    return len(answer), found


def buffers(conn: psycopg.Connection, etag: str | None = None) -> int:
    """Return the buffers that a warm call touches."""
    query = "explain (analyze, buffers, format json) select public.get_models(%s)"
    found = [conn.execute(query, [etag], prepare=True).fetchone() for _ in range(8)][-1]
    assert found
    plan = found[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


@dataclass
class Video:
    """A job that a worker takes and, when its time has come, completes; and who asks for it."""

    client: rendio.Client
    user: UUID
    job: UUID
    asked: int = 0
    now: float = 0.0
    provider_job: str = field(default_factory=lambda: str(uuid4()))

    def get_video_status(self, *, user_id: UUID, job_id: UUID) -> Job:
        self.asked += 1
        return self.client.get_video_status(user_id=user_id, job_id=job_id)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= VIDEO_SECONDS:
            self.complete()

    def start(self) -> None:
        self.client.start_video_job(
            user_id=self.user, job_id=self.job, provider_job_id=self.provider_job
        )

    def complete(self) -> None:
        self.client.complete_video_job(
            provider="fal", provider_job_id=self.provider_job, video_url="https://v.example/1"
        )


def calls(url: str, listen_on: str | None) -> int:
    """Watch a video to its end; return how often its status was asked for."""
    with rendio.Client(url) as client:
        guest = client.device_check(user_id=None, device_id=str(uuid4()))
        made = client.generate_video_atomic(
            user_id=guest.user_id,
            model_id=MODEL,
            prompt="A red fox",
            settings={},
            idempotency_key=uuid4(),
        )
        video = Video(client, guest.user_id, made.job_id)
        clock = Clock(now=lambda: video.now, sleep=video.pass_time)
        hour = timedelta(hours=1)
        seen = watch(video, listen_on, video.user, video.job, timeout=hour, clock=clock)
        assert next(seen).status == "pending"
        video.start()
        if listen_on:
            assert next(seen).status == "processing"
            video.complete()
        assert [job.status for job in seen][-1] == "completed"
        return video.asked
