import json
class Credentials:
    @classmethod
    def from_file(cls, filename, scopes):
        assert 'cloud-platform' in scopes[0]
        with open(filename) as file:
            return 'source' if json.load(file)['type'] == 'external_account' else None
