/* SPDX-License-Identifier: MIT */
/* The built command line, to compare with, and just enough of safetensors to see the bytes of its tensors. */
#ifndef DSV3_TEST_PROGRAM_H
#define DSV3_TEST_PROGRAM_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What `dsv3 oracle ARGUMENTS` prints on both streams; free it. The folder of the test is the working one. */
static char* said(const char* arguments) {
  char command[4096];
  size_t length = 0, room = 1 << 20;
  char* const text = calloc(room, 1);
  FILE* pipe;
  snprintf(command, sizeof command, "%s oracle %s 2>&1", DSV3_PROGRAM, arguments);
  pipe = popen(command, "r");
  if (text == NULL || pipe == NULL) abort();
  length = fread(text, 1, room - 1, pipe);
  text[length] = '\0';
  pclose(pipe);
  return text;
}

/* The file's bytes; free them. */
static char* contents(const char* path, size_t* size) {
  FILE* const file = fopen(path, "rb");
  char* bytes;
  if (file == NULL) abort();
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  bytes = malloc(*size + 1);
  if (bytes == NULL || fread(bytes, 1, *size, file) != *size) abort();
  bytes[*size] = '\0';
  fclose(file);
  return bytes;
}

/* Whether tensor `name` of the safetensors file has exactly these bytes. */
static int file_has(const char* path, const char* name, const void* data, long long bytes) {
  size_t size;
  char* const file = contents(path, &size);
  unsigned long long header = 0, begin = 0, end = 0;
  char key[256];
  const char* at;
  int same = 0;
  memcpy(&header, file, 8);
  snprintf(key, sizeof key, "\"%s\":{", name);
  at = strstr(file + 8, key);
  if (at != NULL) at = strstr(at, "\"data_offsets\":[");
  if (at != NULL && sscanf(at, "\"data_offsets\":[%llu,%llu]", &begin, &end) == 2)
    same = (long long)(end - begin) == bytes && memcmp(file + 8 + header + begin, data, (size_t)bytes) == 0;
  free(file);
  return same;
}

#endif
