from nomarr.settings import Settings
from nomarr.store.database import Database
from nomarr.web.auth import ensure_password
from .conftest import Home, Time
from pydantic import SecretStr
def test_pg(db_url, tmp_path, portal, music, small_models):
    s = Settings(data_dir=tmp_path/"data", database_url=SecretStr(db_url), models_dir=small_models, workers=0)
    with Database(db_url) as db:
        pw = ensure_password(db, s)
        h = Home(s, db, Time(), portal); h.start()
        t = h.connect().post("/api/web/auth/login", json={"password": pw}).json()["session_token"]
        c = h.connect(token=t)
        assert c.post("/api/web/libraries", json={"name":"M","root_path":str(music)}).status_code == 201
        assert c.post("/api/web/processing/process-files", json={"paths":[str(music/"Nina")]}).json()["enqueued"] == 2
        assert c.post("/api/web/libraries/1/scan").json()["queued"] == 1
        print(c.get("/api/web/queue/queue-depth").json(), c.get("/api/web/libraries/stats").json(), c.get("/api/web/libraries").json())
        assert c.get("/api/web/libraries/9223372036854775807").status_code == 404
        assert c.patch("/api/web/libraries/1", json={"name":"é\u2028".strip()}).status_code in (200,400)
        assert c.get("/health/ready").status_code == 200
        assert c.post("/api/web/auth/logout").status_code == 200
        assert c.delete("/api/web/libraries/1").status_code == 401
