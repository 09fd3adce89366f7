/**
 * One walk through the published SDK: every method that speaks to this service, against the server at API_URL.
 *
 * Prints one JSON object, step name → what the SDK returned (or, for a refusal, what it threw).
 */

import { createCrmBlock } from '@23blocks/block-crm';
import { createHttpTransport } from '@23blocks/transport-http';

const { API_URL, API_TOKEN, API_KEY, OTHER_TOKEN } = process.env;
const USER = 'user-uuid-123';
const seen = {};

function connect(token, appId = API_KEY) {
  const answers = [];
  const transport = createHttpTransport({
    baseUrl: API_URL,
    headers: () => ({ Authorization: `Bearer ${token}`, AppId: appId }),
    interceptors: { onResponse: (result, context) => { answers.push(context.status); return result; } },
  });
  return { crm: createCrmBlock(transport, { apiKey: appId }), answers };
}

async function refused(call) {
  try {
    await call();
  } catch (error) {
    return { code: error.code, message: error.message, status: error.status, source: error.source, requestId: error.requestId };
  }
  throw new Error('this should have been refused');
}

const { crm, answers } = connect(API_TOKEN);

// Accounts -----------------------------------------------------------------------------------------------------------
const first = await crm.calendarAccounts.create(USER, { provider: 'google', userEmail: 'user@gmail.com' });
seen.accountCreated = first;
seen.accountWithTokens = await crm.calendarAccounts.create(USER, {
  provider: 'outlook',
  userEmail: 'user@outlook.com',
  accessToken: 'access-canary',
  refreshToken: 'refresh-canary',
  expiresAt: new Date('2099-01-01T00:00:00Z'),
  tokenType: 'Bearer',
  scopes: ['Calendars.Read'],
  externalUserId: 'external-1',
});
seen.accountGot = await crm.calendarAccounts.get(USER, first.uniqueId);
seen.accountUpdated = await crm.calendarAccounts.update(USER, first.uniqueId, { syncEnabled: false });
seen.accounts = await crm.calendarAccounts.list(USER);
seen.accountsPaged = await crm.calendarAccounts.list(USER, { page: 2, perPage: 1, sortBy: 'email', sortOrder: 'desc' });
seen.accountsBeyond = await crm.calendarAccounts.list(USER, { page: 9 });
seen.accountsOfGoogle = await crm.calendarAccounts.list(USER, { provider: 'google' });
seen.accountsEnabled = await crm.calendarAccounts.list(USER, { syncEnabled: true });
seen.accountsActive = await crm.calendarAccounts.list(USER, { status: 'active' });
seen.accountsFound = await crm.calendarAccounts.list(USER, { search: 'OUTLOOK' });

// Syncs --------------------------------------------------------------------------------------------------------------
seen.syncUser = await crm.calendarSync.syncUser(USER);
seen.syncTenant = await crm.calendarSync.syncTenant();
seen.accountsSyncUser = await crm.calendarAccounts.syncUser(USER);
seen.accountsSyncUserAgain = await crm.calendarAccounts.syncUser(USER, {
  forceRefresh: true,
  syncFrom: new Date('2026-01-01T00:00:00Z'),
  syncTo: new Date('2026-12-31T00:00:00Z'),
});
seen.accountsSyncTenant = await crm.calendarAccounts.syncTenant({ forceRefresh: false });

// Busy blocks --------------------------------------------------------------------------------------------------------
const block = await crm.busyBlocks.create(USER, {
  title: 'Dentist',
  startsAt: new Date('2026-03-01T17:00:00Z'),
  endsAt: new Date('2026-03-01T18:00:00Z'),
  allDay: false,
  timezone: 'Europe/Berlin',
  transparency: 'opaque',
  status: 'confirmed',
  location: 'Main Street 1',
  source: 'crm',
  sourceId: 'appointment-7',
  externalEventId: 'external-7',
  metadata: { room: { floor: 2 } },
});
seen.blockCreated = block;
seen.blockPlain = await crm.busyBlocks.create(USER, {
  startsAt: new Date('2026-04-01T08:00:00Z'),
  endsAt: new Date('2026-04-01T09:00:00Z'),
});
seen.blocks = await crm.busyBlocks.list(USER);
seen.blocksInSpan = await crm.busyBlocks.list(USER, {
  startTime: new Date('2026-03-01T17:30:00Z'),
  endTime: new Date('2026-03-02T00:00:00Z'),
});
seen.blocksBeside = await crm.busyBlocks.list(USER, {
  startTime: new Date('2026-03-01T18:00:00Z'),
  endTime: new Date('2026-03-02T00:00:00Z'),
});
seen.blocksFound = await crm.busyBlocks.list(USER, { search: 'dent' });
seen.blocksActive = await crm.busyBlocks.list(USER, { status: 'active' });
seen.blocksSorted = await crm.busyBlocks.list(USER, { sortBy: 'start_time', sortOrder: 'desc', perPage: 1 });
await crm.busyBlocks.delete(USER, block.uniqueId);
seen.blocksLeft = await crm.busyBlocks.list(USER);

// ICS tokens ---------------------------------------------------------------------------------------------------------
const token = await crm.icsTokens.create(USER, { name: 'Team', expiresAt: new Date('2099-01-01T00:00:00Z') });
seen.tokenCreated = token;
seen.tokenPlain = await crm.icsTokens.create(USER, {});
seen.tokens = await crm.icsTokens.list(USER, { sortBy: 'created_at', sortOrder: 'asc' });
seen.tokensFound = await crm.icsTokens.list(USER, { search: 'team', status: 'active', page: 1, perPage: 10 });
const feed = await fetch(`${API_URL}/calendars/my-company/ics/${token.token}`);
seen.feed = { status: feed.status, text: await feed.text() };
await crm.icsTokens.delete(USER, token.uniqueId);
seen.tokensLeft = await crm.icsTokens.list(USER);

// Meetings and users ---------------------------------------------------------------------------------------------------
const meeting = await crm.meetings.create({
  code: 'M-1',
  title: 'Consultation',
  meetingType: 'consultation',
  description: 'First talk',
  scheduledAt: new Date('2026-03-05T10:00:00Z'),
  timeUnit: 'minutes',
  timeQuantity: 45,
  timezone: 'Europe/Berlin',
  userUniqueId: USER,
  accountUniqueId: 'account-1',
  meetingLocation: 'Room 4',
  meetingUrl: 'https://video.example/1',
  payload: { deal: 7 },
});
seen.meetingCreated = meeting;
seen.meetingPlain = await crm.meetings.create({
  code: 'M-2',
  title: 'All day',
  startTime: new Date('2026-03-06T00:00:00Z'),
  endTime: new Date('2026-03-07T00:00:00Z'),
  allDay: true,
});
seen.meetingGot = await crm.meetings.get(meeting.uniqueId);
seen.meetingUpdated = await crm.meetings.update(meeting.uniqueId, {
  title: 'Second talk',
  startTime: new Date('2026-03-05T11:00:00Z'),
  endTime: new Date('2026-03-05T12:00:00Z'),
  meetingScore: 4.5,
  status: 'pending',
});
seen.meetings = await crm.meetings.list();
seen.meetingsOfUser = await crm.meetings.list({ userUniqueId: USER, meetingType: 'consultation', accountUniqueId: 'account-1' });
seen.meetingsSorted = await crm.meetings.list({ sortBy: 'start_time', sortOrder: 'desc', page: 1, perPage: 1 });
seen.meetingsPending = await crm.meetings.list({ status: 'pending' });
seen.meetingsFound = await crm.meetings.search('second', { page: 1, perPage: 5 });
seen.meetingsByUser = await crm.users.getMeetings(USER);
const person = await crm.meetingParticipants.create(meeting.uniqueId, {
  participantUniqueId: 'contact-1',
  participantEmail: 'client@example.com',
  participantName: 'Client',
  participantPhone: '+1 555 0100',
  participantType: 'client',
});
seen.participantCreated = person;
seen.participants = await crm.meetingParticipants.list(meeting.uniqueId, { role: 'client', sortBy: 'name' });
await crm.meetingParticipants.delete(meeting.uniqueId, person.uniqueId);
seen.participantsLeft = await crm.meetingParticipants.list(meeting.uniqueId);
await crm.meetings.delete(meeting.uniqueId);
seen.meetingsLeft = await crm.meetings.list();
seen.meetingsDeleted = await crm.meetings.listDeleted({ page: 1, perPage: 10 });
seen.meetingGone = await refused(() => crm.meetings.get(meeting.uniqueId));
seen.meetingRecovered = await crm.meetings.recover(meeting.uniqueId);
seen.userRegistered = await crm.users.register(USER, { email: 'user@acme.example', name: 'A User' });
seen.userGot = await crm.users.get(USER);
seen.users = await crm.users.list({ search: 'acme.example' });

// The rest, and refusals ---------------------------------------------------------------------------------------------
await crm.calendarAccounts.delete(USER, first.uniqueId);
seen.accountsLeft = await crm.calendarAccounts.list(USER);
seen.health = await crm.health();
seen.gone = await refused(() => crm.calendarAccounts.get(USER, first.uniqueId));
seen.invalid = await refused(() => crm.calendarAccounts.create(USER, { provider: 'fax', userEmail: 'user@gmail.com' }));
seen.unauthorized = await refused(() => connect('nonsense').crm.calendarSync.syncTenant());
seen.forbidden = await refused(() => connect(OTHER_TOKEN).crm.busyBlocks.list(USER));
seen.statuses = answers;

console.log(JSON.stringify(seen));
