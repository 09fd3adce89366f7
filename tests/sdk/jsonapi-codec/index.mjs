/**
 * A stand-in for `@23blocks/jsonapi-codec`, written for these tests.
 *
 * The published SDK imports that package, and the registry does not have it. Everything else here is the published
 * SDK, unmodified. The three functions do what the SDK's own types and documents say of them: read `data`, hand each
 * resource to the SDK's mapper, and read the page from `meta`. A document that does not hold what they need is an
 * error, so that a wrong answer of the server cannot pass for an empty one.
 */

function resource(value, mapper) {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new TypeError(`expected a resource object, got ${JSON.stringify(value)}`);
  }
  // The SDK's own mappers write their types in two manners: "Meeting", "meeting_participant".
  if (value.type.toLowerCase() !== mapper.type.toLowerCase()) {
    throw new TypeError(`expected a resource of type ${mapper.type}, got ${value.type}`);
  }
  if (typeof value.id !== 'string' || value.id === '') {
    throw new TypeError(`the resource has no id: ${JSON.stringify(value)}`);
  }
  return mapper.map(value, new Map());
}

function count(meta, name) {
  const value = meta?.[name];
  if (!Number.isInteger(value)) {
    throw new TypeError(`meta.${name} is not a whole number: ${JSON.stringify(meta)}`);
  }
  return value;
}

export function decodeOne(document, mapper) {
  return resource(document.data, mapper);
}

export function decodeMany(document, mapper) {
  if (!Array.isArray(document.data)) {
    throw new TypeError(`data is not a list: ${JSON.stringify(document.data)}`);
  }
  return document.data.map((value) => resource(value, mapper));
}

export function decodePageResult(document, mapper) {
  const { meta } = document;
  return {
    data: decodeMany(document, mapper),
    meta: {
      currentPage: count(meta, 'current_page'),
      totalPages: count(meta, 'total_pages'),
      totalCount: count(meta, 'total_count'),
      perPage: count(meta, 'per_page'),
    },
  };
}
