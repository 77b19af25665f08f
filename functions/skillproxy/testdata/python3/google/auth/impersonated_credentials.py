import os, threading
count = 0
class Credentials:
    def __init__(self, source_credentials, target_principal, target_scopes):
        assert source_credentials == 'source' and 'cloud-platform' in target_scopes[0]
        self.principal = target_principal
class IDTokenCredentials:
    def __init__(self, target_credentials, target_audience=None, include_email=False):
        assert include_email
        self.valid, self.text = False, "|".join([target_credentials.principal, target_audience])
    def refresh(self, request):
        if os.environ.get("NO_TOKEN"): threading.Event().wait()
        global count
        count += 1
        self.valid, self.token = True, "fake-id-%d|%s" % (count, self.text)
