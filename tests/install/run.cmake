# Installs BUILD, moves the installed tree elsewhere, and builds and runs the project beside this file against it, and a
# C program by pkg-config.
# cmake -D BUILD=... -D WORK=... -D GENERATOR=... -D COMPILER=... -D FLAGS=... -D C_COMPILER=... -P run.cmake
function(step what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${what} failed (${result}):\n${output}")
  endif()
  message(STATUS "${what}\n${output}")
endfunction()

file(REMOVE_RECURSE ${WORK})
step("install" ${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/installed)
file(RENAME ${WORK}/installed ${WORK}/moved)
step("configure" ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B ${WORK}/build -G ${GENERATOR}
     -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH=${WORK}/moved -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_CXX_FLAGS=${FLAGS}
     -DCMAKE_C_COMPILER=${C_COMPILER} -DCMAKE_C_FLAGS=${FLAGS}
     -DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF)
step("build" ${CMAKE_COMMAND} --build ${WORK}/build)
foreach(variant IN ITEMS f32 f64 c)
  step("run with dsv3::${variant}" ${WORK}/build/consumer_${variant})
endforeach()

find_program(PKG_CONFIG pkg-config REQUIRED)
file(GLOB_RECURSE pc ${WORK}/moved/dsv3.pc)
get_filename_component(folder ${pc} DIRECTORY)
set(ENV{PKG_CONFIG_PATH} ${folder})
execute_process(COMMAND ${PKG_CONFIG} --cflags --libs dsv3 OUTPUT_VARIABLE how COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(how UNIX_COMMAND "${how}")
execute_process(COMMAND ${PKG_CONFIG} --variable=libdir dsv3 OUTPUT_VARIABLE libraries OUTPUT_STRIP_TRAILING_WHITESPACE)
separate_arguments(flags UNIX_COMMAND "${FLAGS}")
step("compile C" ${C_COMPILER} -std=c11 ${flags} ${CMAKE_CURRENT_LIST_DIR}/consumer.c -o ${WORK}/consumer_c ${how}
     -Wl,-rpath,${libraries})
step("run C" ${WORK}/consumer_c)
