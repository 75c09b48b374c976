/* SPDX-License-Identifier: MIT */
/**
 * \file
 * The oracle from C and whatever can call it: libdsv3.so. The ops are data, so a new op needs no new function here.
 *
 *     dsv3_error error;
 *     dsv3_tensors* outputs;
 *     const int64_t shape[] = {4, 256};
 *     const dsv3_tensor x = {"x", DSV3_F32, 2, shape, numbers, sizeof numbers};
 *     if (dsv3_run("quantise", &x, 1, "{\"dialect\": \"deepep_kernel\"}", &outputs, &error) != DSV3_OK)
 *       fprintf(stderr, "%s\n", error.text);
 *     dsv3_free_tensors(outputs);
 *
 * Every function that can fail returns DSV3_OK, DSV3_FAILURE or DSV3_BAD_ARGUMENT, leaves NULL in its result unless it
 * returns DSV3_OK, and says why in `error` (which may be NULL) in the words of the command line for the same call. No
 * C++ exception passes through.
 *
 * Owners. What goes in is only read, during the call only, and copied only where an op computes with another type; no
 * alignment is needed. What comes out is the library's and lives until it is freed; freeing NULL does nothing.
 *
 * Threads. All functions may be called from any number of threads at once. A call works on as many threads as OpenMP
 * takes (OMP_NUM_THREADS); its results have the same bits for any number. As with any use of OpenMP, a process that has
 * forked after its first call must call exec before it calls again.
 *
 * ABI. The symbols have the version DSV3_0 and the library is libdsv3.so.0 as long as all that is declared here stays
 * as it is. Functions may be added, and members at the end of structs that only the library makes.
 */
#ifndef DSV3_H
#define DSV3_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How a call ended. */
enum {
  DSV3_OK = 0,
  DSV3_FAILURE = 1,     /**< the machine's fault or the library's: no memory, an op that contradicts its description */
  DSV3_BAD_ARGUMENT = 2 /**< the caller's fault; `error` says where, what is and what is needed */
};

/** Types of elements, little-endian; named as in safetensors files. */
enum {
  DSV3_F64 = 0,
  DSV3_F32 = 1,
  DSV3_F16 = 2,
  DSV3_BF16 = 3,
  DSV3_F8_E4M3 = 4, /**< without infinities, largest 448 */
  DSV3_F8_E5M2 = 5,
  DSV3_I64 = 6,
  DSV3_I32 = 7,
  DSV3_U8 = 8,
  DSV3_BOOL = 9 /**< one byte, 0 or 1 */
};

/** A named tensor: elements in row-major order without gaps. */
typedef struct dsv3_tensor {
  const char* name;     /**< as dsv3_describe has it */
  int32_t dtype;        /**< DSV3_F64 ... DSV3_BOOL */
  int32_t rank;         /**< 0: one value */
  const int64_t* shape; /**< `rank` sizes; at most 2^31 elements, where a size of 0 counts as 1 */
  const void* data;     /**< may be NULL where `bytes` is 0 */
  int64_t bytes;        /**< of all elements; other than the shape needs is refused */
} dsv3_tensor;

/** Tensors of the library. */
typedef struct dsv3_tensors {
  int64_t count;
  const dsv3_tensor* items; /**< sorted by name; data is aligned for its type */
  const char* attributes;   /**< all that the op has, as JSON: of the case, or those that dsv3_run ran with */
} dsv3_tensors;

/** What the library says of something. */
typedef struct dsv3_report {
  int32_t outcome;  /**< see the function it comes from */
  const char* text; /**< for people, in lines */
  const char* json; /**< the same for programs, in one line */
} dsv3_report;

/** Outcomes of dsv3_check. */
enum {
  DSV3_NOTHING = -1, /**< there is no element to compare */
  DSV3_BITS = 0,     /**< every bit is ours */
  DSV3_WITHIN = 1,   /**< every element is within its derived bound */
  DSV3_OUTSIDE = 2   /**< at least one is not, or a tensor is missing or of another shape or type */
};

/** Why a call failed: one line without a newline; "" after DSV3_OK. What does not fit is cut off. */
typedef struct dsv3_error {
  char text[2048];
} dsv3_error;

/** "MAJOR.MINOR.PATCH" */
const char* dsv3_version(void);

int64_t dsv3_op_count(void);
/** The name of op 0 .. dsv3_op_count() - 1, in the order of the report; NULL for another index. */
const char* dsv3_op_name(int64_t index);

/** All about an op: equation, numerics contract, inputs, outputs, attributes, kinds of cases. The outcome is 0. */
int dsv3_describe(const char* op, dsv3_report** description, dsv3_error* error);

/**
 * The outputs of the reference. `attributes` is a JSON object {"NAME": true, false, a number or a text, ...}; those not
 * named have the op's defaults, which check and find then say. NULL is {}. Inputs and outputs may take 4 GiB together,
 * or what the environment variable DSV3_ORACLE_GIB says.
 */
int dsv3_run(const char* op, const dsv3_tensor* inputs, int64_t num_inputs, const char* attributes,
             dsv3_tensors** outputs, dsv3_error* error);

/**
 * The inputs of a case drawn from `seed`, the same on every machine, and its attributes. `kind` is one of the op's
 * kinds of cases; NULL is the ordinary one. `settings` is a JSON object of attributes and of sizes ({"M": 3}) that take
 * the place of the kind's; NULL is {}.
 */
int dsv3_gen(const char* op, const char* kind, uint64_t seed, const char* settings, dsv3_tensors** inputs,
             dsv3_error* error);

/**
 * Judges another implementation's outputs of a case. The outcome is DSV3_NOTHING, DSV3_BITS, DSV3_WITHIN or
 * DSV3_OUTSIDE.
 */
int dsv3_check(const char* op, const dsv3_tensor* inputs, int64_t num_inputs, const char* attributes,
               const dsv3_tensor* theirs, int64_t num_theirs, dsv3_report** verdict, dsv3_error* error);

/**
 * Which of the conventions in use, alone or two together, give these outputs. The outcome is 1 if one does, else 0; of
 * outputs without elements none does.
 */
int dsv3_find(const char* op, const dsv3_tensor* inputs, int64_t num_inputs, const char* attributes,
              const dsv3_tensor* theirs, int64_t num_theirs, dsv3_report** search, dsv3_error* error);

void dsv3_free_tensors(dsv3_tensors* tensors);
void dsv3_free_report(dsv3_report* report);

#ifdef __cplusplus
}
#endif
#endif
