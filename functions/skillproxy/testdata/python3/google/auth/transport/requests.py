class Request: pass
