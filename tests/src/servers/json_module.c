/* A small stand-in for RedisJSON, loaded into a private redis-server of the tests.
 *
 * It is a real module with the type name of the real one, so that TYPE, MULTI, WATCH, scripts, SET over a JSON key and
 * times to live behave as the server itself makes them. What it offers, as the documentation of RedisJSON tells it:
 *
 *   JSON.SET key path value [NX|XX]   JSON.GET key [path]    JSON.MGET key... path
 *   JSON.DEL key [path]               JSON.TYPE key [path]   JSON.DEBUG MEMORY key [path]
 *
 * with the root as the only path ("." gives the value, "$" an array around it). Text is checked and written anew as
 * the real module does: no white space, numbers and escapes in one spelling, fewer than 128 levels. Under RESP3 the path
 * that is not given is "$", else ".". Not here: other paths, the order of doubled member names.
 *
 * The functions of the module API that are used are declared by hand: nothing but a C compiler is needed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct Ctx Ctx;
typedef struct Key Key;
typedef struct Str Str;
typedef struct Type Type;
typedef struct IO IO;
typedef int (*Command)(Ctx *, Str **, int);
typedef struct {
  uint64_t version;
  void *(*load)(IO *, int);
  void (*save)(IO *, void *);
  void (*rewrite)(IO *, Str *, void *);
  size_t (*memory)(const void *);
  void (*digest)(void *, void *);
  void (*release)(void *);
} Methods;

enum { OK = 0, FAILED = 1, READ = 1, WRITE = 2, EMPTY = 0, RESP3 = 1 << 22, DEPTH = 128 };

#define API(result, name, arguments) static result(*name) arguments;
#define FUNCTIONS                                                                                \
  API(void, SetModuleAttribs, (Ctx *, const char *, int, int))                                   \
  API(int, CreateCommand, (Ctx *, const char *, Command, const char *, int, int, int))           \
  API(Type *, CreateDataType, (Ctx *, const char *, int, Methods *))                             \
  API(int, WrongArity, (Ctx *))                                                                  \
  API(Key *, OpenKey, (Ctx *, Str *, int))                                                       \
  API(void, CloseKey, (Key *))                                                                   \
  API(int, KeyType, (Key *))                                                                     \
  API(Type *, ModuleTypeGetType, (Key *))                                                        \
  API(void *, ModuleTypeGetValue, (Key *))                                                       \
  API(int, ModuleTypeSetValue, (Key *, Type *, void *))                                          \
  API(int, DeleteKey, (Key *))                                                                   \
  API(int, ReplyWithError, (Ctx *, const char *))                                                \
  API(int, ReplyWithNull, (Ctx *))                                                               \
  API(int, ReplyWithSimpleString, (Ctx *, const char *))                                         \
  API(int, ReplyWithStringBuffer, (Ctx *, const char *, size_t))                                 \
  API(int, ReplyWithLongLong, (Ctx *, long long))                                                \
  API(int, ReplyWithArray, (Ctx *, long))                                                        \
  API(const char *, StringPtrLen, (const Str *, size_t *))                                       \
  API(int, ReplicateVerbatim, (Ctx *))                                                           \
  API(int, SignalModifiedKey, (Ctx *, Str *))                                                    \
  API(int, GetContextFlags, (Ctx *))                                                             \
  API(void *, Alloc, (size_t))                                                                   \
  API(void *, Realloc, (void *, size_t))                                                         \
  API(void, Free, (void *))                                                                      \
  API(void, SaveStringBuffer, (IO *, const char *, size_t))                                      \
  API(char *, LoadStringBuffer, (IO *, size_t *))                                                \
  API(void, EmitAOF, (IO *, const char *, const char *, ...))
FUNCTIONS
#undef API

static Type *json_type;

typedef struct {
  char *text;
  size_t length, room;
} Text;

static void put(Text *out, const char *from, size_t length) {
  if (out->length + length + 1 > out->room) {
    out->room = 2 * (out->length + length + 1);
    out->text = Realloc(out->text, out->room);
  }
  memcpy(out->text + out->length, from, length);
  out->length += length;
  out->text[out->length] = 0;
}

static void release(void *value) {
  Text *text = value;
  if (!text) return;
  Free(text->text);
  Free(text);
}

/* Reading: the input ends with a zero byte that is no part of it. */
typedef struct {
  const char *at, *end;
  Text *out;
  int depth;
} Reader;

static void blank(Reader *in) {
  while (in->at < in->end && strchr(" \t\r\n", *in->at) && *in->at) in->at++;
}

static int hex(Reader *in, unsigned *code) {
  *code = 0;
  for (int i = 0; i < 4; i++, in->at++) {
    char digit = in->at < in->end ? *in->at : 0;
    if (digit >= '0' && digit <= '9') *code = *code * 16 + (unsigned)(digit - '0');
    else if ((digit | 32) >= 'a' && (digit | 32) <= 'f') *code = *code * 16 + (unsigned)((digit | 32) - 'a' + 10);
    else return FAILED;
  }
  return OK;
}

static void put_code(Text *out, unsigned code) {
  char bytes[4];
  if (code < 0x20 || code == '"' || code == '\\') {
    const char *plain = "\b\f\n\r\t\"\\", *escaped = "bfnrt\"\\";
    const char *found = code ? strchr(plain, (int)code) : NULL;
    char text[8];
    int length = found ? snprintf(text, sizeof text, "\\%c", escaped[found - plain])
                       : snprintf(text, sizeof text, "\\u%04x", code);
    put(out, text, (size_t)length);
    return;
  }
  size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  if (length == 1) bytes[0] = (char)code;
  else {
    for (size_t i = length - 1; i > 0; i--, code >>= 6) bytes[i] = (char)(0x80 | (code & 0x3f));
    bytes[0] = (char)((0xf0 << (4 - length)) | code);
  }
  put(out, bytes, length);
}

static int string(Reader *in) {
  put(in->out, "\"", 1);
  for (in->at++; in->at < in->end && *in->at != '"';) {
    unsigned char byte = (unsigned char)*in->at++;
    if (byte < 0x20) return FAILED;
    if (byte != '\\') {
      put(in->out, (const char *)&byte, 1);
      continue;
    }
    char kind = in->at < in->end ? *in->at++ : 0;
    const char *known = "bfnrt\"\\/", *plain = "\b\f\n\r\t\"\\/";
    unsigned code, low;
    if (kind == 'u') {
      if (hex(in, &code) == FAILED) return FAILED;
      if (code >= 0xd800 && code < 0xdc00) {
        if (in->end - in->at < 6 || in->at[0] != '\\' || in->at[1] != 'u') return FAILED;
        in->at += 2;
        if (hex(in, &low) == FAILED || low < 0xdc00 || low > 0xdfff) return FAILED;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      } else if (code >= 0xdc00 && code < 0xe000) return FAILED;
    } else {
      const char *found = kind ? strchr(known, kind) : NULL;
      if (!found) return FAILED;
      code = (unsigned char)plain[found - known];
    }
    put_code(in->out, code);
  }
  if (in->at >= in->end) return FAILED;
  in->at++;
  put(in->out, "\"", 1);
  return OK;
}

static int digits(Reader *in) {
  const char *start = in->at;
  while (in->at < in->end && *in->at >= '0' && *in->at <= '9') in->at++;
  return in->at > start ? OK : FAILED;
}

static int number(Reader *in) {
  const char *start = in->at;
  int fraction = 0;
  if (*in->at == '-') in->at++;
  if (in->at < in->end && *in->at == '0') in->at++;
  else if (digits(in) == FAILED) return FAILED;
  if (in->at < in->end && *in->at == '.') {
    fraction = 1, in->at++;
    if (digits(in) == FAILED) return FAILED;
  }
  if (in->at < in->end && (*in->at | 32) == 'e') {
    fraction = 1, in->at++;
    if (in->at < in->end && (*in->at == '+' || *in->at == '-')) in->at++;
    if (digits(in) == FAILED) return FAILED;
  }
  if (!fraction) {
    put(in->out, start, (size_t)(in->at - start));
    return OK;
  }
  char text[64];
  double value = strtod(start, NULL);
  for (int precision = 15; precision <= 17; precision++) {
    snprintf(text, sizeof text, "%.*g", precision, value);
    if (strtod(text, NULL) == value) break;
  }
  put(in->out, text, strlen(text));
  if (!strpbrk(text, ".en")) put(in->out, ".0", 2);
  return OK;
}

static int value(Reader *in) {
  blank(in);
  if (in->at >= in->end || in->depth >= DEPTH) return FAILED;
  char first = *in->at;
  if (first == '"') return string(in);
  if (first == '-' || (first >= '0' && first <= '9')) return number(in);
  for (int i = 0; i < 3; i++) {
    const char *word = (const char *[]){"true", "false", "null"}[i];
    size_t length = strlen(word);
    if ((size_t)(in->end - in->at) >= length && !memcmp(in->at, word, length)) {
      put(in->out, word, length);
      in->at += length;
      return OK;
    }
  }
  if (first != '{' && first != '[') return FAILED;
  char last = first == '{' ? '}' : ']';
  put(in->out, &first, 1);
  in->at++, in->depth++;
  blank(in);
  for (int count = 0; in->at < in->end && *in->at != last; count++) {
    if (count) {
      if (*in->at++ != ',') return FAILED;
      put(in->out, ",", 1);
      blank(in);
    }
    if (first == '{') {
      if (in->at >= in->end || *in->at != '"' || string(in) == FAILED) return FAILED;
      blank(in);
      if (in->at >= in->end || *in->at++ != ':') return FAILED;
      put(in->out, ":", 1);
    }
    if (value(in) == FAILED) return FAILED;
    blank(in);
  }
  if (in->at >= in->end) return FAILED;
  put(in->out, &last, 1);
  in->at++, in->depth--;
  return OK;
}

static Text *parse(const char *from, size_t length) {
  Text *text = Alloc(sizeof *text);
  memset(text, 0, sizeof *text);
  Reader in = {from, from + length, text, 0};
  if (value(&in) == OK) {
    blank(&in);
    if (in.at == in.end) return text;
  }
  release(text);
  return NULL;
}

/* The root: 0 not, 1 as the value, 2 inside of an array. */
static int root(Ctx *ctx, Str *path) {
  if (!path) return GetContextFlags(ctx) & RESP3 ? 2 : 1;
  const char *text = StringPtrLen(path, NULL);
  return !strcmp(text, ".") ? 1 : !strcmp(text, "$") ? 2 : 0;
}

static int no_path(Ctx *ctx) { return ReplyWithError(ctx, "ERR this stand-in for RedisJSON knows the root path only"); }

/* Opens a key: its value, or NULL with `state` 0 for none and -1 for another type. */
static Text *find(Ctx *ctx, Str *name, int mode, Key **key, int *state) {
  *key = OpenKey(ctx, name, mode);
  *state = 0;
  if (!*key || KeyType(*key) == EMPTY) return NULL;
  *state = ModuleTypeGetType(*key) == json_type ? 1 : -1;
  return *state == 1 ? ModuleTypeGetValue(*key) : NULL;
}

static int wrong_type(Ctx *ctx) { return ReplyWithError(ctx, "Existing key has wrong Redis type"); }

static int json_set(Ctx *ctx, Str **argv, int argc) {
  if (argc != 4 && argc != 5) return WrongArity(ctx);
  if (!root(ctx, argv[2])) return no_path(ctx);
  const char *when = argc == 5 ? StringPtrLen(argv[4], NULL) : "";
  if (*when && strcasecmp(when, "NX") && strcasecmp(when, "XX")) return ReplyWithError(ctx, "ERR syntax error");
  size_t length;
  const char *given = StringPtrLen(argv[3], &length);
  Text *text = parse(given, length);
  if (!text) return ReplyWithError(ctx, "ERR expected value at line 1 column 1");
  Key *key;
  int state;
  Text *old = find(ctx, argv[1], READ | WRITE, &key, &state);
  if (state < 0) {
    release(text);
    CloseKey(key);
    return wrong_type(ctx);
  }
  if (*when && (strcasecmp(when, "NX") == 0) == (old != NULL)) {
    release(text);
    CloseKey(key);
    return ReplyWithNull(ctx);
  }
  if (old) {
    /* In place: the time to live stays. */
    Free(old->text);
    *old = *text;
    Free(text);
  } else ModuleTypeSetValue(key, json_type, text);
  CloseKey(key);
  SignalModifiedKey(ctx, argv[1]);
  ReplicateVerbatim(ctx);
  return ReplyWithSimpleString(ctx, "OK");
}

static int reply(Ctx *ctx, Text *text, int form) {
  if (!text) return ReplyWithNull(ctx);
  if (form == 1) return ReplyWithStringBuffer(ctx, text->text, text->length);
  Text around = {0};
  put(&around, "[", 1), put(&around, text->text, text->length), put(&around, "]", 1);
  ReplyWithStringBuffer(ctx, around.text, around.length);
  Free(around.text);
  return OK;
}

static int json_get(Ctx *ctx, Str **argv, int argc) {
  if (argc != 2 && argc != 3) return WrongArity(ctx);
  int form = root(ctx, argc == 3 ? argv[2] : NULL), state;
  if (!form) return no_path(ctx);
  Key *key;
  Text *text = find(ctx, argv[1], READ, &key, &state);
  int result = state < 0 ? wrong_type(ctx) : reply(ctx, text, form);
  CloseKey(key);
  return result;
}

static int json_mget(Ctx *ctx, Str **argv, int argc) {
  if (argc < 3) return WrongArity(ctx);
  int form = root(ctx, argv[argc - 1]), state;
  if (!form) return no_path(ctx);
  ReplyWithArray(ctx, argc - 2);
  for (int i = 1; i < argc - 1; i++) {
    Key *key;
    reply(ctx, find(ctx, argv[i], READ, &key, &state), form);
    CloseKey(key);
  }
  return OK;
}

static int json_del(Ctx *ctx, Str **argv, int argc) {
  if (argc != 2 && argc != 3) return WrongArity(ctx);
  if (!root(ctx, argc == 3 ? argv[2] : NULL)) return no_path(ctx);
  Key *key;
  int state;
  find(ctx, argv[1], READ | WRITE, &key, &state);
  if (state > 0) DeleteKey(key);
  CloseKey(key);
  if (state < 0) return wrong_type(ctx);
  if (state > 0) ReplicateVerbatim(ctx);
  return ReplyWithLongLong(ctx, state);
}

static int json_type_of(Ctx *ctx, Str **argv, int argc) {
  if (argc != 2 && argc != 3) return WrongArity(ctx);
  Key *key;
  int state;
  Text *text = find(ctx, argv[1], READ, &key, &state);
  const char *kind = !text               ? NULL
                     : *text->text == '{' ? "object"
                     : *text->text == '[' ? "array"
                     : *text->text == '"' ? "string"
                     : *text->text == 'n' ? "null"
                     : strchr("tf", *text->text) ? "boolean"
                     : strpbrk(text->text, ".e") ? "number"
                                                 : "integer";
  CloseKey(key);
  if (state < 0) return wrong_type(ctx);
  return kind ? ReplyWithStringBuffer(ctx, kind, strlen(kind)) : ReplyWithNull(ctx);
}

static int json_debug(Ctx *ctx, Str **argv, int argc) {
  if (argc != 3 && argc != 4) return WrongArity(ctx);
  if (strcasecmp(StringPtrLen(argv[1], NULL), "MEMORY")) return ReplyWithError(ctx, "ERR unknown subcommand");
  int form = root(ctx, argc == 4 ? argv[3] : NULL), state;
  Key *key;
  Text *text = find(ctx, argv[2], READ, &key, &state);
  if (state < 0) wrong_type(ctx);
  else {
    if (form == 2) ReplyWithArray(ctx, 1);
    ReplyWithLongLong(ctx, text ? (long long)(text->length + sizeof *text) : 0);
  }
  CloseKey(key);
  return OK;
}

static void *load(IO *io, int version) {
  (void)version;
  size_t length;
  char *text = LoadStringBuffer(io, &length);
  Text *loaded = parse(text, length);
  Free(text);
  return loaded;
}

static void save(IO *io, void *value) {
  Text *text = value;
  SaveStringBuffer(io, text->text, text->length);
}

static void rewrite(IO *io, Str *key, void *value) {
  Text *text = value;
  EmitAOF(io, "JSON.SET", "scb", key, ".", text->text, text->length);
}

static size_t memory(const void *value) { return ((const Text *)value)->room + sizeof(Text); }

int RedisModule_OnLoad(Ctx *ctx, Str **argv, int argc) {
  (void)argv, (void)argc;
  int (*get_api)(const char *, void *) = (int (*)(const char *, void *))((void **)ctx)[0];
#define API(result, name, arguments) \
  if (get_api("RedisModule_" #name, (void *)&name) != OK) return FAILED;
  FUNCTIONS
#undef API
  SetModuleAttribs(ctx, "ReJSON", 20000, 1);
  static Methods methods = {1, load, save, rewrite, memory, NULL, release};
  json_type = CreateDataType(ctx, "ReJSON-RL", 3, &methods);
  if (!json_type) return FAILED;
  if (CreateCommand(ctx, "JSON.SET", json_set, "write deny-oom", 1, 1, 1) != OK) return FAILED;
  if (CreateCommand(ctx, "JSON.GET", json_get, "readonly", 1, 1, 1) != OK) return FAILED;
  if (CreateCommand(ctx, "JSON.MGET", json_mget, "readonly", 1, -2, 1) != OK) return FAILED;
  if (CreateCommand(ctx, "JSON.DEL", json_del, "write", 1, 1, 1) != OK) return FAILED;
  if (CreateCommand(ctx, "JSON.TYPE", json_type_of, "readonly", 1, 1, 1) != OK) return FAILED;
  if (CreateCommand(ctx, "JSON.DEBUG", json_debug, "readonly", 2, 2, 1) != OK) return FAILED;
  return OK;
}
