// SendEvent as it is commonly written in Node: express, axios with keep-alive, tokens in memory.
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const axios = require('axios');
const express = require('express');

const tokens = JSON.parse(fs.readFileSync(process.env.TOKENS_FILE, 'utf8'));
const gateway = axios.create({
  baseURL: process.env.GATEWAY_URL,
  httpAgent: new http.Agent({ keepAlive: true }),
  validateStatus: () => true,
});

const app = express();
app.use(express.json({ limit: '1mb' }));

app.post('/', async (req, res) => {
  const { message } = req.body;
  const deviceEvent = JSON.parse(Buffer.from(message.data, 'base64').toString('utf8'));
  const token = tokens[deviceEvent.userId];
  if (!token) {
    console.log(JSON.stringify({ severity: 'WARNING', message: 'no grant', event_id: message.messageId }));
    return res.json({ outcomes: [] });
  }

  const { event, context = {} } = deviceEvent;
  event.header.messageId = crypto.randomUUID();
  event.header.payloadVersion = '3';
  event.endpoint.scope = { type: 'BearerToken', token };

  const { status } = await gateway.post('/v3/events', { event, context }, {
    headers: { Authorization: `Bearer ${token}` },
  });

  const outcome = status === 202 ? 'accepted' : 'retry';
  console.log(JSON.stringify({
    severity: 'INFO',
    message: 'SendEvent',
    event_id: message.messageId,
    endpoint_id: event.endpoint.endpointId,
    outcome,
    status,
  }));
  return res.status(status === 202 ? 200 : 503).json({ outcomes: [{ outcome }] });
});

app.listen(Number(process.env.PORT), '127.0.0.1');
